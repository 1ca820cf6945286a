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
"""Seconds between two looks for events."""


def delivery(sinks: Sequence[EventSink]) -> BackgroundTask:
    """The task that keeps events for these sinks, and brings them."""

    async def run(services: Services) -> None:
        names = tuple(sorted(sink.name for sink in sinks))
        await services.metadata.apply(FollowEvents(id=services.new_id(), at=services.clock(), sinks=names))
        while sinks:
            if not await deliver_events(services, sinks):
                await asyncio.sleep(INTERVAL)

    return BackgroundTask(name="events", run=run)
