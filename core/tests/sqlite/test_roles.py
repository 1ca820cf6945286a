"""Two engines over one database: one writes, and the role goes from hand to hand."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bleepstore.metadata import MetadataBusy, MetadataFailed, MetadataUnavailable
from bleepstore.sqlite import engine as engine_module
from bleepstore.sqlite import locks
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.sqlite.remote import CommandServer
from bleepstore.testing.metadata import Store

pytestmark = pytest.mark.anyio

PATIENCE = 30.0


def store_of(engine: SqliteEngine) -> Store:
    store = Store(lambda: engine)
    store.engine = engine
    return store


async def test_one_engine_writes_and_the_others_read_what_they_sent(start_engine: Any) -> None:
    writer, worker, third = [await start_engine() for _ in range(3)]
    assert [engine.is_writer for engine in (writer, worker, third)] == [True, False, False]
    assert writer.store_id == worker.store_id
    bucket = await store_of(worker).make_bucket()
    await store_of(worker).put(bucket, "k")
    for engine in (worker, writer, third):
        await store_of(engine).object(bucket, "k")


async def test_second_server_is_refused_with_one_line(start_engine: Any, tmp_path: Path) -> None:
    await start_engine(token="one")
    with pytest.raises(MetadataFailed, match="already in use by another BleepStore server") as caught:
        await start_engine(token="two")
    assert "\n" not in str(caught.value)
    await start_engine(token="one")


async def test_refused_server_leaves_no_lock(start_engine: Any) -> None:
    first = await start_engine(token="one")
    with pytest.raises(MetadataFailed):
        await start_engine(token="two")
    await first.stop()
    assert (await start_engine(token="two")).is_writer


async def test_role_goes_over_without_losing_a_command(start_engine: Any) -> None:
    """S3-CHECKLIST 44: a worker drains while the writer is already gone, and no client notices."""
    engines = [await start_engine() for _ in range(3)]
    bucket = await store_of(engines[0]).make_bucket()
    going, written = True, 0

    async def write(engine: SqliteEngine, name: str) -> None:
        nonlocal written
        store, number = store_of(engine), 0
        while going:
            await store.put(bucket, f"{name}-{number}", blob=f"{name}-{number}")
            number += 1
            written += 1

    async def wait_for_writes() -> None:
        wanted = written + 50
        async with asyncio.timeout(PATIENCE):
            while written < wanted:
                await asyncio.sleep(0.001)

    tasks = [
        asyncio.create_task(write(engine, f"{n}-{m}"))
        for n, engine in enumerate(engines[1:])
        for m in range(5)
    ]
    await wait_for_writes()
    await engines[0].stop()
    await wait_for_writes()
    going = False
    await asyncio.gather(*tasks)
    assert [engine.is_writer for engine in engines].count(True) == 1
    page = await engines[1].list_objects(bucket.id, prefix="", delimiter="", after="", limit=100_000)
    assert len(page.entries) == written


async def test_caller_that_is_cancelled_leaves_no_role_half_taken(
    start_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, worker = await start_engine(), await start_engine()
    bucket = await store_of(worker).make_bucket()
    worker._watch.cancel()
    entered, go = asyncio.Event(), asyncio.Event()
    start = CommandServer.start

    async def slow_start(server: CommandServer) -> None:
        entered.set()
        await go.wait()
        await start(server)

    monkeypatch.setattr(CommandServer, "start", slow_start)
    await writer.stop()
    caller = asyncio.create_task(store_of(worker).put(bucket, "k"))
    await asyncio.wait_for(entered.wait(), PATIENCE)
    caller.cancel()
    await asyncio.wait((caller,))
    go.set()
    await store_of(worker).put(bucket, "k")
    assert worker.is_writer


async def test_engine_that_stopped_takes_no_role_and_no_command(start_engine: Any, tmp_path: Path) -> None:
    engine = await start_engine()
    await engine.stop()
    with pytest.raises(MetadataUnavailable, match="stopped"):
        await store_of(engine).make_bucket()
    role = locks.take_role(tmp_path / "metadata.db-writer")
    assert role is not None
    locks.release(role)


async def test_command_that_looks_for_a_writer_ends_with_the_engine(
    start_engine: Any, tmp_path: Path
) -> None:
    writer, worker = await start_engine(), await start_engine()
    await writer.stop()
    role = locks.take_role(tmp_path / "metadata.db-writer")
    command = asyncio.create_task(store_of(worker).make_bucket())
    async with asyncio.timeout(PATIENCE):
        while worker._search is None or worker._search.done():
            await asyncio.sleep(0)
    await worker.stop()
    with pytest.raises(MetadataUnavailable, match="stopped"):
        await command
    locks.release(role)


async def test_role_that_cannot_be_taken_is_let_go_and_tried_again(
    start_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, worker = await start_engine(), await start_engine()
    worker._watch.cancel()
    await writer.stop()

    def broken(*_: Any, **__: Any) -> Any:
        raise MetadataFailed("the database is damaged")

    with monkeypatch.context() as patched:
        patched.setattr(engine_module, "open_writer", broken)
        with pytest.raises(MetadataBusy, match="damaged"):
            await store_of(worker).make_bucket()
    assert not worker.is_writer
    await store_of(worker).make_bucket()
    assert worker.is_writer


async def test_start_fails_with_one_line_when_nobody_answers_for_the_role(
    start_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "ROLE_PATIENCE", 0.0)
    role = locks.take_role(tmp_path / "metadata.db-writer")
    with pytest.raises(MetadataFailed, match="no process answers for the writer role"):
        await start_engine()
    locks.release(role)
    assert (await start_engine()).is_writer


async def test_last_engine_to_stop_leaves_one_file_with_everything(start_engine: Any, tmp_path: Path) -> None:
    engine = await start_engine()
    await store_of(engine).make_bucket()
    await engine.stop()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"metadata.db", "metadata.db-readers", "metadata.db-server", "metadata.db-writer"}
    assert [path.name for path in (tmp_path / "metadata.db-readers").iterdir()] == ["seq"]


async def test_tokens_are_inherited_or_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locks.TOKEN, "of the parent")
    assert locks.server_token() == "of the parent"
    monkeypatch.delenv(locks.TOKEN)
    assert locks.server_token() != locks.server_token()
