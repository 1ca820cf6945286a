"""Processes that are killed: what was acknowledged is there, the role is taken, nobody is waited for."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from bleepstore.metadata import MetadataBusy, MetadataUnavailable
from bleepstore.sqlite import engine as engine_module
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.metadata import Store

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
PROCESS = Path(__file__).with_name("process.py")


class Child:
    """A process and the lines it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)).decode().strip()

    async def kill(self) -> list[str]:
        """Kill it at once; returns the lines it had said and nobody had read."""
        self.process.kill()
        out, _ = await self.process.communicate()
        return out.decode().rpartition("\n")[0].split()

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")


@pytest.fixture
async def spawn(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    children: list[Child] = []

    async def begin(mode: str, *arguments: str) -> Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROCESS),
            str(tmp_path / "metadata.db"),
            "one",
            mode,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        children.append(Child(process))
        return children[-1]

    yield begin
    for child in children:
        if child.process.returncode is None:
            child.process.kill()
            await child.process.communicate()


async def test_everything_acknowledged_before_a_kill_is_there(spawn: Any, tmp_path: Path) -> None:
    """S3-CHECKLIST 44: in each of several lives."""
    acknowledged: list[str] = []
    for life in range(3):
        child = await spawn("write", str(life * 1_000_000))
        assert await child.line() == "writer"
        acknowledged += [await child.line() for _ in range(50 + 31 * life)]
        acknowledged += await child.kill()
    engine = SqliteEngine(tmp_path / "metadata.db", token="another")
    await engine.start()
    for key in acknowledged:
        _, found = await engine.object("bucket", key, data=True)
        assert found is not None
        assert found.data == b"data"
    await engine.stop()
    with sqlite3.connect(tmp_path / "metadata.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_role_of_a_killed_writer_is_taken(spawn: Any, start_engine: Any) -> None:
    """S3-CHECKLIST 44: with commands under way; their outcome is told, or honestly unknown."""
    child = await spawn("write", "0")
    assert await child.line() == "writer"
    await child.line()
    engine = await start_engine()
    assert not engine.is_writer
    store = Store(lambda: engine)
    store.engine = engine
    bucket = await engine.bucket("bucket")
    acknowledged: list[str] = []
    unknown = 0
    killed = asyncio.Event()

    async def write(name: int) -> None:
        nonlocal unknown
        after = 0
        for number in range(10_000):
            try:
                await store.put(bucket, f"{name}-{number}")
                acknowledged.append(f"{name}-{number}")
            except MetadataUnavailable:
                unknown += 1
            after += killed.is_set() and engine.is_writer
            if after > 20:
                return
            if len(acknowledged) > 40 and not killed.is_set():
                killed.set()
                child.process.kill()

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(write(name) for name in range(4)))
    assert engine.is_writer
    assert unknown <= 4
    for key in acknowledged:
        await store.object(bucket, key)


async def test_role_is_taken_without_a_command(
    spawn: Any, start_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upkeep belongs to the writer, and must go on while nobody writes."""
    monkeypatch.setattr(engine_module, "ROLE_WATCH", 0.01)
    child = await spawn("read")
    assert await child.line() == "writer"
    engine = await start_engine()
    await child.kill()
    async with asyncio.timeout(PATIENCE):
        while not engine.is_writer:
            await asyncio.sleep(0.01)


async def test_garbage_waits_for_a_reader_in_another_process(spawn: Any, start_engine: Any) -> None:
    """However long it reads; and not for one that was killed."""
    engine = await start_engine()
    store = Store(lambda: engine)
    store.engine = engine
    bucket = await store.make_bucket()
    await store.put(bucket, "k", blob="read")
    reading, killed = await spawn("read"), await spawn("read")
    for child in (reading, killed):
        assert [await child.line(), await child.line()] == ["worker", "reading"]
    await store.delete(bucket, "k")
    assert await store.garbage() == []
    reading.tell()
    assert await reading.line() == "done"
    assert await store.garbage() == []
    await killed.kill()
    assert await store.garbage() == ["read"]


async def test_server_that_was_killed_leaves_nothing_that_keeps_another_out(
    spawn: Any, tmp_path: Path
) -> None:
    child = await spawn("write", "0")
    await child.line()
    other = SqliteEngine(tmp_path / "metadata.db", token="two")
    with pytest.raises(engine_module.MetadataFailed, match="already in use"):
        await other.start()
    await child.kill()
    again = SqliteEngine(tmp_path / "metadata.db", token="two")
    await again.start()
    assert again.is_writer
    await again.stop()


async def test_writer_that_answers_nobody_is_a_busy_one(
    spawn: Any, start_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role is held, and its socket is gone: nothing was sent, so the caller may come again."""
    child = await spawn("read")
    await child.line()
    engine = await start_engine()
    monkeypatch.setattr(engine_module, "ROLE_PATIENCE", 0.0)
    (tmp_path / "metadata.db-socket").unlink()
    engine._client.open = False
    engine._client.transport.write_eof()
    store = Store(lambda: engine)
    store.engine = engine
    with pytest.raises(MetadataBusy, match="writer role"):
        await store.make_bucket()
