"""Power cuts at many moments of a recorded work: the server starts, and holds what it has promised.

``make crash CUTS=500`` tries as many as one likes.
"""

import filecmp
import tempfile
from collections.abc import Iterator
from pathlib import Path

import broken_servers
import pytest
from power_cut import Disk, KeepAll
from recording import Recording, check_cuts, cuts, record
from store_model import Violation
from warm_server import Warm

STATES = 16


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    warm = Warm()
    yield warm
    warm.close()


@pytest.fixture
def states() -> Iterator[Path]:
    """Where states are made: in memory where there is such a folder, for they are of no worth."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 worker", "2 workers"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("recording")
    return record(folder, workers=request.param, steps=25, seed="tests")


def test_everything_answered_before_a_power_cut_is_there(
    recording: Recording, warm: Warm, states: Path
) -> None:
    """S3-CHECKLIST 44"""
    assert check_cuts(recording, warm, states, cuts(recording, STATES, "tests")) == STATES


def test_the_log_has_everything_that_was_done(recording: Recording, states: Path) -> None:
    """Played to its end without a loss it gives the folder that the server left."""
    disk = Disk()
    disk.play(recording.entries)
    disk.cut(states / "all", KeepAll())
    names, there = contents(states / "all" / "data"), contents(recording.root / "data")
    assert names == there
    assert filecmp.cmpfiles(states / "all/data", recording.root / "data", names, shallow=False) == (
        names,
        [],
        [],
    )


def contents(folder: Path) -> list[str]:
    """All files but those that are written through mapped memory."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not _is_mapped(path))
    return sorted(str(path.relative_to(folder)) for path in paths)


def _is_mapped(path: Path) -> bool:
    return path.name.endswith("-shm") or path.parent.name.endswith("-readers")


@pytest.mark.parametrize("what", ["BYTES_UNSYNCED", "NAMES_UNSYNCED", "ROWS_UNSYNCED", "ROOT_UNSYNCED"])
def test_power_cuts_find_a_server_that_promises_too_early(
    what: str, warm: Warm, states: Path, tmp_path: Path
) -> None:
    broken_one = record(tmp_path, lives=1, steps=8, seed="tests", prelude=getattr(broken_servers, what))
    with pytest.raises((Violation, RuntimeError)):
        check_cuts(broken_one, warm, states, cuts(broken_one, 60, what))
