"""Who reads which state: garbage waits for every living reader, and for nobody else."""

import fcntl
from pathlib import Path
from typing import Any

import pytest
from bleepstore.sqlite import readers as readers_module
from bleepstore.sqlite.readers import Readers


@pytest.fixture
def two(tmp_path: Path) -> Any:
    first, second = Readers(tmp_path / "readers", "1-a"), Readers(tmp_path / "readers", "2-b")
    yield first, second
    first.close()
    second.close()


def test_last_committed_number_is_everybodys(two: Any) -> None:
    two[0].seq = 300
    assert two[1].seq == 300


def test_without_readers_everything_committed_can_go(two: Any) -> None:
    """But nothing later: who begins to read after this look sees at least this state."""
    two[0].seq = 7
    assert two[0].oldest() == 7


def test_oldest_reader_of_all_counts(two: Any) -> None:
    first, second = two
    first.seq = 5
    with first.reading():
        first.seq = 9
        with second.reading():
            first.seq = 12
            assert (first.oldest(), second.oldest()) == (5, 5)
        assert first.oldest() == 5
    assert first.oldest() == 12


def test_reader_that_began_first_may_end_first(two: Any) -> None:
    first, second = two
    one, other = first.reading(), first.reading()
    first.seq = 1
    one.__enter__()
    first.seq = 2
    other.__enter__()
    first.seq = 3
    one.__exit__(None, None, None)
    assert (first.oldest(), second.oldest()) == (2, 2)
    other.__exit__(None, None, None)
    assert (first.oldest(), second.oldest()) == (3, 3)


def test_many_readers_of_one_state_are_counted(two: Any) -> None:
    first, second = two
    first.seq = 4
    held = [first.reading() for _ in range(3)]
    for reading in held:
        reading.__enter__()
    first.seq = 8
    for reading in held[:2]:
        reading.__exit__(None, None, None)
    assert second.oldest() == 4
    held[2].__exit__(None, None, None)
    assert second.oldest() == 8


def test_number_noted_during_the_look_is_not_missed(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader begins after its file was looked at: what is dropped from then on is beyond the bound."""
    first, _ = two
    first.seq = 5
    look = readers_module.fcntl.flock

    def flock(file: Any, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            first.seq = 9
        look(file, operation)

    monkeypatch.setattr(readers_module.fcntl, "flock", flock)
    assert first.oldest() == 5


def test_file_of_a_dead_process_is_removed(two: Any, tmp_path: Path) -> None:
    first, second = two
    first.seq = 3
    with second.reading():
        fcntl.flock(second._file, fcntl.LOCK_UN)  # as the end of its process does it
        first.seq = 6
        assert first.oldest() == 6
    assert not (tmp_path / "readers" / "2-b").exists()


def test_file_that_was_taken_for_a_dead_ones_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = Readers(tmp_path / "readers", "1-a")
    upkeep.seq = 5
    lock = fcntl.flock
    looks = []

    def flock(file: Any, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not looks:
            looks.append(upkeep.oldest())
        lock(file, operation)

    monkeypatch.setattr(readers_module.fcntl, "flock", flock)
    late = Readers(tmp_path / "readers", "2-b")
    assert looks == [5]
    with late.reading():
        upkeep.seq = 8
        assert upkeep.oldest() == 5
    late.close()
    upkeep.close()


def test_reading_may_end_after_the_engine(two: Any) -> None:
    with two[0].reading():
        two[0].close()


def test_close_is_idempotent_and_leaves_no_reader(tmp_path: Path) -> None:
    readers = Readers(tmp_path / "readers", "1-a")
    readers.close()
    readers.close()
    assert [path.name for path in (tmp_path / "readers").iterdir()] == ["seq"]
