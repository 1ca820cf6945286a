"""The tasks of upkeep: their rounds and pauses, and that one process of a server does it all."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from bleepstore.background import BackgroundRunner
from bleepstore.plugin import Context
from bleepstore.settings import Settings, UpkeepSettings
from bleepstore.upkeep.plugin import every, plugin

pytestmark = pytest.mark.anyio


def tasks_of(interval: int = 3600) -> Iterator:
    settings = Settings(upkeep=UpkeepSettings(interval=interval))
    context = Context(settings=settings, section=None, log=logging.getLogger("test"), clock=lambda: 0)
    return plugin.bleepstore_background_tasks(context=context)


async def pause_of(monkeypatch, task, services) -> float:
    """Run a task until it pauses; for how many seconds."""
    paused: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def pause(seconds: float) -> None:
        paused.set_result(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "sleep", pause)
    running = asyncio.create_task(task(services))
    seconds = await paused
    running.cancel()
    await asyncio.wait((running,))
    return seconds


async def test_rounds_follow_at_once_while_there_is_much_to_do(monkeypatch):
    found = iter([1000, 1000, 12])
    did = []

    async def work(services):
        did.append(next(found))
        return did[-1]

    assert await pause_of(monkeypatch, every(60, work, most=1000), None) == 60
    assert did == [1000, 1000, 12]


async def test_round_without_a_most_is_always_followed_by_a_pause(monkeypatch):
    """Abandoned writes are judged a pause after they were seen, however many there are."""
    did = []

    async def work(services):
        did.append(1)
        return 10**6

    assert await pause_of(monkeypatch, every(60, work), None) == 60
    assert len(did) == 1


async def test_each_task_begins_with_a_round_and_pauses_as_configured(monkeypatch, services):
    assert [task.name for task in tasks_of()] == ["intents", "garbage", "abandoned", "uploads"]
    for task in tasks_of(interval=17):
        assert await pause_of(monkeypatch, task.run, services) == 17


async def test_only_the_process_with_the_writer_role_works_and_the_next_takes_over(
    services, services_of, make_engine, store, storage, bucket, put_blob
):
    """Two workers of one server: the second begins when the first is gone."""
    worker = make_engine()
    await worker.start()
    assert (store.engine.is_writer, worker.is_writer) == (True, False)
    first, second = await put_blob("a"), await put_blob("b")
    await store.delete(bucket, "a")
    runner = BackgroundRunner(tasks_of(), services_of(metadata=worker), look=0.001)
    runner.start()
    for _ in range(20):
        await asyncio.sleep(0)
    assert first in storage.memory.blobs
    await store.engine.stop()
    async with asyncio.timeout(10):
        while first in storage.memory.blobs:
            await asyncio.sleep(0.001)
    assert second in storage.memory.blobs
    await runner.stop()
    await worker.stop()
