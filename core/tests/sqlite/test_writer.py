"""The writer: commands in groups, and what a disk can do to them."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from bleepstore.commands import Attributes, Command, CommitObject, Condition, Content, CreateBucket
from bleepstore.metadata import Committed, MetadataBusy, MetadataFull, MetadataUnavailable, Refused
from bleepstore.sqlite import writer as module
from bleepstore.sqlite.schema import open_writer
from bleepstore.sqlite.writer import Writer, weight

pytestmark = pytest.mark.anyio


class Watched:
    """A connection whose transactions are counted, and can be held up or made to fail."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.begun = self.commits = 0
        self.fault: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.standing = threading.Event()

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            self.begun += 1
        if sql == "COMMIT":
            self.standing.set()
            assert self.go.wait(30)
        if sql == "COMMIT":
            self.commits += 1
            if self.fault is not None:
                fault, self.fault = self.fault, None
                raise fault
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def hold(self, writer: Writer, command: Command) -> asyncio.Future[Any]:
        """Have the writer stand at the commit of one command, while others can be queued."""
        self.go.clear()
        self.standing.clear()
        future = writer.submit(command)
        assert await asyncio.to_thread(self.standing.wait, 30)
        return future


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


def put(number: int, *, blob: str | None = None, data: bytes = b"x", **values: Any) -> CommitObject:
    return CommitObject(
        id=f"{number:032}",
        at=number,
        bucket=1,
        key=f"key-{number}",
        content=Content(size=len(data), blob=blob or f"blob-{number}", data=data),
        etag="e",
        owner="o",
        attributes=Attributes(),
        **values,
    )


async def settled(*futures: asyncio.Future[Any]) -> list[Any]:
    async with asyncio.timeout(30):
        return await asyncio.gather(*futures, return_exceptions=True)


Started = tuple[Writer, Watched]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    writers: list[tuple[Writer, Watched]] = []

    async def begin(**options: Any) -> Started:
        connection = open_writer(tmp_path / "metadata.db", durable=False, new_store_id=lambda: "store")
        watched: Any = Watched(connection)
        writer = Writer(watched, **options)
        writer.start()
        writers.append((writer, watched))
        await writer.submit(CreateBucket(id="0", at=0, name="b", owner="o", region="r"))
        watched.begun = watched.commits = 0
        return writer, watched

    yield begin
    for writer, watched in writers:
        watched.go.set()
        await writer.stop()
        watched.close()


async def test_what_is_queued_during_a_sync_shares_the_next_one(start: Any) -> None:
    seqs: list[int] = []
    writer, watched = await start(committed=seqs.append)
    first = await watched.hold(writer, put(0))
    rest = [writer.submit(put(number)) for number in range(1, 50)]
    watched.go.set()
    done = await settled(first, *rest)
    assert [committed.seq for committed in done] == list(range(2, 52))
    assert watched.commits == 2
    assert seqs == [1, 2, 51]


async def test_nobody_is_answered_before_the_commit(start: Any) -> None:
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    assert not first.done()
    watched.go.set()
    assert isinstance((await settled(first))[0], Committed)


async def test_command_that_breaks_fails_alone(start: Any) -> None:
    """The name of its blob is taken, which no command of this server does."""
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    rest = [writer.submit(put(1)), writer.submit(put(2, blob="blob-0")), writer.submit(put(3))]
    watched.go.set()
    done = await settled(first, *rest)
    assert [type(result) for result in done] == [Committed, Committed, MetadataUnavailable, Committed]
    assert [done[1].seq, done[3].seq] == [3, 4]
    assert isinstance((await settled(writer.submit(put(4))))[0], Committed)


async def test_refused_command_leaves_its_group_alone(start: Any) -> None:
    """S3-CHECKLIST 33."""
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    none_match = Condition(if_none_match=True)
    rest = [writer.submit(put(1)), writer.submit(put(0, condition=none_match)), writer.submit(put(3))]
    watched.go.set()
    done = await settled(first, *rest)
    assert [type(result) for result in done] == [Committed, Committed, Refused, Committed]
    assert watched.commits == 2


async def test_queue_has_a_bound_in_bytes(start: Any) -> None:
    small = put(1)
    writer, watched = await start(queue_bytes=3 * weight(small))
    first = await watched.hold(writer, put(0))
    rest = [writer.submit(put(1)), writer.submit(put(2))]
    with pytest.raises(MetadataBusy):
        writer.submit(put(3))
    watched.go.set()
    assert all(isinstance(result, Committed) for result in await settled(first, *rest))
    assert isinstance((await settled(writer.submit(put(3))))[0], Committed)
    with pytest.raises(MetadataBusy):
        writer.submit(put(4, data=b"x" * 10_000))


async def test_failed_commit_makes_the_writer_read_only_and_is_not_tried_again(start: Any) -> None:
    """Nobody knows what a failed sync left on the disk, and a second one would say that all is well."""
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    rest = [writer.submit(put(number)) for number in (1, 2)]
    watched.fault = sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)
    watched.go.set()
    done = await settled(first, *rest)
    assert all(isinstance(result, MetadataUnavailable) for result in done)
    assert watched.commits == 1
    with pytest.raises(MetadataUnavailable, match="read-only"):
        writer.submit(put(3))
    assert watched.begun == 1


async def test_full_disk_in_a_commit_changes_nothing_and_the_writer_goes_on(start: Any) -> None:
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    watched.fault = sqlite_error(sqlite3.SQLITE_FULL)
    watched.go.set()
    assert isinstance((await settled(first))[0], MetadataFull)
    (done,) = await settled(writer.submit(put(0)))
    assert done.seq == 2


async def test_full_disk_in_a_command_changes_nothing_and_the_writer_goes_on(start: Any) -> None:
    """As SQLite itself finds it, in the middle of a group."""
    writer, watched = await start()
    (pages,) = watched.execute("PRAGMA page_count").fetchone()
    watched.execute(f"PRAGMA max_page_count = {pages + 4}")
    first = await watched.hold(writer, put(0))
    rest = [writer.submit(put(1)), writer.submit(put(2, data=b"x" * 60_000)), writer.submit(put(3))]
    watched.go.set()
    done = await settled(first, *rest)
    assert [type(result) for result in done] == [Committed, Committed, MetadataFull, Committed]
    watched.execute("PRAGMA max_page_count = 1000000")
    assert isinstance((await settled(writer.submit(put(2, data=b"x" * 60_000))))[0], Committed)


async def test_database_that_another_tool_has_locked_is_busy_for_the_whole_group(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wait for all of them, not one for each, and the loop does not wait."""
    monkeypatch.setattr(module, "LOCKED_PATIENCE", 0.05)
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    rest = [writer.submit(put(number)) for number in range(1, 20)]
    watched.go.set()
    other = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None, timeout=30)
    assert isinstance((await settled(first))[0], Committed)
    other.execute("BEGIN IMMEDIATE")
    more = [writer.submit(put(number)) for number in range(20, 40)]
    assert {type(result) for result in await settled(*more)} == {MetadataBusy}
    other.close()
    assert {type(result) for result in await settled(*rest)} == {Committed}
    assert isinstance((await settled(writer.submit(put(40))))[0], Committed)


async def test_group_waits_for_a_lock_that_goes(start: Any, tmp_path: Path) -> None:
    writer, watched = await start()
    other = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = watched.begun
    result = writer.submit(put(0))
    async with asyncio.timeout(30):
        while watched.begun < begun + 3:
            await asyncio.sleep(0)
    other.close()
    assert isinstance((await settled(result))[0], Committed)


async def test_database_that_is_not_in_its_place_takes_nothing_until_it_is(
    start: Any, tmp_path: Path
) -> None:
    """SQLite would go on writing to the file that it has open, and nobody would ever find that."""
    writer, _ = await start()
    file = tmp_path / "metadata.db"
    away = file.rename(tmp_path / "away")
    moved = await settled(writer.submit(put(1)))
    file.touch()
    replaced = await settled(writer.submit(put(1)))
    assert [type(result) for result in moved + replaced] == [MetadataBusy, MetadataBusy]
    away.rename(file)
    (result,) = await settled(writer.submit(put(1)))
    assert isinstance(result, Committed)


async def test_stop_applies_what_waits(start: Any) -> None:
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    rest = [writer.submit(put(number)) for number in range(1, 600)]
    stopping = asyncio.ensure_future(writer.stop())
    await asyncio.sleep(0)
    with pytest.raises(MetadataUnavailable, match="stopped"):
        writer.submit(put(600))
    watched.go.set()
    await stopping
    assert all(isinstance(result, Committed) for result in await settled(first, *rest))


async def test_answers_of_cancelled_callers_are_dropped(start: Any) -> None:
    writer, watched = await start()
    first = await watched.hold(writer, put(0))
    second = writer.submit(put(1))
    first.cancel()
    watched.go.set()
    assert isinstance((await settled(second))[0], Committed)
    rows = watched.execute("SELECT count(*) FROM current").fetchone()
    assert rows == (2,)
