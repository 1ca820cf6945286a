"""The journal: what a dead process had in flight is found, what a living one has is not."""

import errno
import fcntl
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bleepstore.testing.storage import STORE
from bleepstore_backend_local.backend import LocalBackend
from bleepstore_backend_local.journal import WIDTH, Journal
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
NAMES = [f"{n:032x}" for n in range(20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_names_of_a_closed_journal_are_found_and_of_an_open_one_not(folder: Path):
    dead, living, looking = Journal(folder, "dead"), Journal(folder, "living"), Journal(folder, "looking")
    dead.enter(NAMES[0])
    dead.enter(NAMES[1])
    dead.leave(NAMES[0])
    living.enter(NAMES[2])
    dead.close()
    assert looking.dead() == [NAMES[1]]


def test_journal_is_forgotten_when_all_its_names_are_decided(folder: Path):
    dead, looking = Journal(folder, "dead"), Journal(folder, "looking")
    dead.enter(NAMES[0])
    dead.enter(NAMES[1])
    dead.close()
    looking.forget(NAMES[:1])
    assert looking.dead() == NAMES[:2]
    looking.forget(NAMES[:2])
    assert looking.dead() == []
    assert [path.name for path in folder.iterdir()] == ["looking"]


def test_living_journal_is_not_forgotten(folder: Path):
    living, looking = Journal(folder, "living"), Journal(folder, "looking")
    living.enter(NAMES[0])
    looking.forget(NAMES)
    living.close()
    assert looking.dead() == NAMES[:1]


def test_journal_that_nothing_was_left_in_goes(folder: Path):
    """Also that of a process that was killed, which could not remove it itself."""
    folder.mkdir()
    (folder / "killed").write_bytes((b" " * 32 + b"\n") * 3)
    looking = Journal(folder, "looking")
    assert looking.dead() == []
    assert [path.name for path in folder.iterdir()] == ["looking"]
    looking.close()
    assert list(folder.iterdir()) == []


def test_journal_removed_between_making_and_locking_is_made_anew(folder: Path, monkeypatch):
    """A look from another process takes a file without a lock for one of the dead."""
    looking = Journal(folder, "looking")
    lock = fcntl.flock

    def look_first(file: Any, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        looking.dead()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", look_first)
    journal = Journal(folder, "new")
    journal.enter(NAMES[0])
    journal.close()
    assert looking.dead() == NAMES[:1]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES)), max_size=60))
def test_journal_holds_exactly_what_is_in_flight(tmp_path_factory, steps: list[tuple[bool, str]]):
    folder = tmp_path_factory.mktemp("journal")
    journal, looking, model = Journal(folder, "a"), Journal(folder, "b"), set()
    for enters, name in steps:
        if not enters:
            journal.leave(name)
            model.discard(name)
        elif name not in model:
            journal.enter(name)
            model.add(name)
    assert (folder / "a").stat().st_size <= WIDTH * len(NAMES)
    journal.close()
    assert sorted(looking.dead()) == sorted(model)
    looking.close()


def test_name_that_did_not_fit_on_a_full_disk_hides_no_other(folder: Path, monkeypatch):
    journal, looking = Journal(folder, "journal"), Journal(folder, "looking")
    journal.enter(NAMES[0])
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:5], at))
    with pytest.raises(OSError, match="No space") as raised:
        journal.enter(NAMES[1])
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    os.pwrite(journal._file, (NAMES[2] + "\n").encode(), 2 * WIDTH)
    journal.close()
    assert looking.dead() == [NAMES[0], NAMES[2]]


def test_leaving_never_fails(folder: Path, monkeypatch, caplog):
    """The object is committed by then: a name too many is looked up once more, nothing else."""
    journal, looking = Journal(folder, "journal"), Journal(folder, "looking")
    journal.enter(NAMES[0])

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    journal.leave(NAMES[0])
    assert "No space left" in caplog.text
    journal.close()
    assert looking.dead() == NAMES[:1]


_WRITE_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from bleepstore_backend_local.backend import LocalBackend

async def main():
    storage = LocalBackend(Path(sys.argv[1]), token="one-server")
    await storage.start(sys.argv[2], fresh=False)
    staged = [await storage.stage(name) for name in sys.argv[3:]]
    for one in staged:
        await one.write(b"x" * 100_000)
    await staged[0].publish()
    await staged[1].publish()
    await staged[1].settle()
    await staged[2].publish()
    await asyncio.wrap_future(storage._writers.submit(print, "ready", flush=True))
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_writes_of_a_killed_process_are_abandoned_and_of_a_living_one_not(root: Path):
    """Published or not, settled or not: what no settling process has decided is found."""
    storage = LocalBackend(root, token="one-server")
    await storage.start(STORE, fresh=True)
    names = sorted(secrets.token_hex(16) for _ in range(4))
    command = [sys.executable, "-c", _WRITE_AND_WAIT, str(root), STORE, *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert list(await storage.abandoned()) == []
        finally:
            process.send_signal(signal.SIGKILL)
    found = sorted(await storage.abandoned())
    assert found == [names[0], names[2], names[3]]
    for name in found:
        await storage.delete(name)
    await storage.resolve(found)
    assert list(await storage.abandoned()) == []
    assert [path.name for path in root.rglob("*") if path.name in names] == [names[1]]
    await storage.stop()
