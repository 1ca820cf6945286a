"""Background tasks run where the writer role is, and come back after a failure."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from bleepstore.background import BackgroundRunner
from bleepstore.plugin import BackgroundTask

pytestmark = pytest.mark.anyio


def services(*, writer: bool) -> Any:
    return SimpleNamespace(metadata=SimpleNamespace(is_writer=writer))


async def test_tasks_wait_for_the_writer_role():
    ran = asyncio.Event()

    async def work(services: Any) -> None:
        ran.set()

    given = services(writer=False)
    runner = BackgroundRunner([BackgroundTask(name="work", run=work)], given, look=0.001)
    runner.start()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not ran.is_set()
    given.metadata.is_writer = True
    await asyncio.wait_for(ran.wait(), 5)
    await runner.stop()


async def test_failed_task_is_logged_and_started_again(caplog):
    runs = 0
    again = asyncio.Event()

    async def work(services: Any) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("the disk is on fire")
        again.set()

    runner = BackgroundRunner([BackgroundTask(name="fragile", run=work)], services(writer=True), pause=0)
    runner.start()
    await asyncio.wait_for(again.wait(), 5)
    await runner.stop()
    assert runs == 2
    assert "fragile" in caplog.text
    assert "the disk is on fire" in caplog.text


async def test_stop_cancels_what_runs_and_is_idempotent():
    started, ended = asyncio.Event(), asyncio.Event()

    async def work(services: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    runner = BackgroundRunner([BackgroundTask(name="long", run=work)], services(writer=True))
    runner.start()
    await asyncio.wait_for(started.wait(), 5)
    await runner.stop()
    await runner.stop()
    assert ended.is_set()
