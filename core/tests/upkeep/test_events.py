"""Sinks get every event in order, again after a failure, and none is held up by another."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from bleepstore.commands import FollowEvents
from bleepstore.events import Event, EventSink
from bleepstore.upkeep import rounds
from bleepstore.upkeep.events import delivery

pytestmark = pytest.mark.anyio


class Sink(EventSink):
    """Keeps what it takes; can be made to refuse."""

    def __init__(self, name: str = "sink", refusals: int = 0) -> None:
        self.name = name
        self.refusals = refusals
        self.offered: list[list[str]] = []
        self.taken: list[str] = []
        self.seqs: list[int] = []
        self.changed = asyncio.Condition()

    async def deliver(self, events: Sequence[Event]) -> None:
        async with self.changed:
            self.offered.append([event.key for event in events])
            self.changed.notify_all()
            if self.refusals:
                self.refusals -= 1
                raise ConnectionError("nobody listens")
            self.taken += [event.key for event in events]
            self.seqs += [event.seq for event in events]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(condition)


class Hanging(EventSink):
    """Never answers."""

    name = "hanging"

    async def deliver(self, events: Sequence[Event]) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def delivering(services, *sinks: EventSink):
    task = asyncio.create_task(delivery(sinks, interval=0.001).run(services))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait((task,))
    assert task.cancelled() or task.exception() is None


async def followed(services, *sinks: EventSink) -> None:
    """Events are kept for these sinks from now on."""
    names = tuple(sink.name for sink in sinks)
    await services.metadata.apply(FollowEvents(id=services.new_id(), at=services.clock(), sinks=names))


async def test_events_come_in_order_with_what_happened(services, store, bucket):
    sink = Sink()
    await followed(services, sink)
    for n in range(5):
        await store.put(bucket, f"key-{n}")
    await store.delete(bucket, "key-3")
    async with delivering(services, sink):
        await sink.until(lambda: len(sink.taken) == 6)
    assert sink.taken == ["key-0", "key-1", "key-2", "key-3", "key-4", "key-3"]
    assert sink.seqs == sorted(set(sink.seqs))


async def test_events_of_changes_while_it_runs_come_too(services, store, bucket):
    sink = Sink()
    await followed(services, sink)
    async with delivering(services, sink):
        for n in range(3):
            await store.put(bucket, f"key-{n}")
            await sink.until(lambda n=n: len(sink.taken) == n + 1)


async def test_events_that_a_sink_did_not_take_come_again(services, store, bucket, caplog):
    sink = Sink(refusals=2)
    await followed(services, sink)
    await store.put(bucket, "key")
    async with delivering(services, sink):
        await sink.until(lambda: sink.taken != [])
    assert sink.offered == [["key"]] * 3
    assert "nobody listens" in caplog.text


async def test_taken_events_do_not_come_again_after_a_restart(services, store, bucket):
    sink = Sink()
    await followed(services, sink)
    await store.put(bucket, "before")
    async with delivering(services, sink):
        await sink.until(lambda: sink.taken == ["before"])
        while await store.engine.events(sink.name, 1):
            await asyncio.sleep(0)
    await store.put(bucket, "while nobody looked")
    async with delivering(services, sink):
        await sink.until(lambda: len(sink.taken) == 2)
    assert sink.taken == ["before", "while nobody looked"]


async def test_many_events_come_in_batches(services, store, bucket, monkeypatch):
    monkeypatch.setattr(rounds, "BATCH", 2)
    sink = Sink()
    await followed(services, sink)
    for n in range(5):
        await store.put(bucket, f"{n}")
    async with delivering(services, sink):
        await sink.until(lambda: len(sink.taken) == 5)
    assert sink.offered == [["0", "1"], ["2", "3"], ["4"]]


async def test_no_sink_waits_for_another(services, store, bucket):
    good, bad, hanging = Sink("good"), Sink("bad", refusals=10**9), Hanging()
    await followed(services, good, bad, hanging)
    async with delivering(services, hanging, bad, good):
        await store.put(bucket, "key")
        await good.until(lambda: good.taken == ["key"])
        await bad.until(lambda: len(bad.offered) > 1)
    assert [event.key for event in await store.engine.events("bad", 10)] == ["key"]


async def test_sink_that_was_added_gets_events_from_then_on(services, store, bucket):
    sink = Sink()
    await store.put(bucket, "before")
    async with delivering(services, sink):
        while not sink.taken:
            await store.put(bucket, "after")
            await asyncio.sleep(0)
    assert set(sink.taken) == {"after"}


async def test_without_sinks_no_event_is_kept(services, store, bucket):
    """And the task ends: there is nothing to look for."""
    sink = Sink()
    await followed(services, sink)
    await store.put(bucket, "kept for the sink")
    async with asyncio.timeout(10):
        await delivery(()).run(services)
    await store.put(bucket, "for nobody")
    assert await store.engine.events("sink", 10) == []
