"""Work beside requests, and a receiver of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from bleepstore.commands import CreateBucket
from bleepstore.events import Event, EventSink
from bleepstore.exchange import Services

PAUSE = 60.0
"""Seconds between two looks."""


def inbox_keeper(name: str) -> Callable[[Services], Awaitable[None]]:
    """A task that makes a bucket whenever it is missing."""

    async def run(services: Services) -> None:
        owner, region = services.accounts.first.id, services.settings.server.region
        while True:
            if await services.metadata.bucket(name) is None:
                id, at = services.new_id(), services.clock()
                command = CreateBucket(id=id, at=at, name=name, owner=owner, region=region)
                await services.metadata.apply(command)
            await asyncio.sleep(PAUSE)

    return run


class Journal(EventSink):
    """A line of JSON for every change; its cursor is kept under its name."""

    name = "example-journal"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def deliver(self, events: Sequence[Event]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(event)) + "\n" for event in events)
