"""What every part of the gateway works with: the two engines, names of intents, commands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from bleepstore.commands import Command
from bleepstore.metadata import Intent, MetadataBusy, MetadataEngine
from bleepstore.native import NativeBackend
from bleepstore.storage import Target

LEASE = 120_000
"""Milliseconds after which an intent is resolved though its process lives: its write has failed there."""
PATIENCE = 8.0
"""Seconds in which others must have ended what they do with a key, and the queue has room again."""


class Engines:
    """Metadata and storage of one server."""

    def __init__(
        self,
        metadata: MetadataEngine,
        storage: NativeBackend,
        clock: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self.metadata = metadata
        self.storage = storage
        self.clock = clock
        self.new_id = new_id
        self.active: set[str] = set()
        """Reservations of writes that are under way in this process."""

    async def apply(self, kind: type[Command], **values: Any) -> Any:
        """A command of this moment."""
        return await self.metadata.apply(kind(id=self.new_id(), at=self.clock(), **values))

    async def record(self, command: Command) -> Any:
        """A command that says what has happened upstream: a full queue is no reason to forget it."""
        async for last in pauses():
            try:
                return await self.metadata.apply(command)
            except MetadataBusy:
                if last:
                    raise
        raise AssertionError("unreachable")

    async def may_resolve(self, intent: Intent) -> bool:
        """Whether nobody is at work on what an intent announced."""
        if intent.holder == self.metadata.holder:
            return intent.reservation not in self.active
        if not await self.metadata.is_alive(intent.holder):
            return True
        return self.clock() - intent.at > LEASE


async def pauses(patience: float = PATIENCE) -> AsyncIterator[bool]:
    """Turns with growing pauses between them, for so many seconds; whether it is the last one."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + patience, 0.005
    while loop.time() < end:
        yield False
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        pause = min(pause * 2, 0.25)
    yield True


def target_of(bucket: str, key: str, attributes: Any) -> Target:
    """What a write of an object is to become upstream."""
    return Target(bucket=bucket, key=key, headers=attributes.headers, metadata=attributes.metadata)
