"""Delivery of events to sinks: each follows its own cursor, and a crash repeats at most a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bleepstore.commands import FollowEvents
from bleepstore.events import EventSink
from bleepstore.exchange import Services
from bleepstore.plugin import BackgroundTask
from bleepstore.upkeep.rounds import deliver_events

INTERVAL = 1.0
"""Seconds between two looks for events, and after a failure."""


def delivery(sinks: Sequence[EventSink], *, interval: float = INTERVAL) -> BackgroundTask:
    """The task that keeps events for these sinks, and brings them; no sink waits for another."""

    async def follow(services: Services, sink: EventSink) -> None:
        while True:
            if not await deliver_events(services, sink):
                await asyncio.sleep(interval)

    async def run(services: Services) -> None:
        names = tuple(sorted(sink.name for sink in sinks))
        await services.metadata.apply(FollowEvents(id=services.new_id(), at=services.clock(), sinks=names))
        async with asyncio.TaskGroup() as group:
            for sink in sinks:
                group.create_task(follow(services, sink), name=f"events for {sink.name}")

    return BackgroundTask(name="events", run=run)
