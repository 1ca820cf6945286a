"""One at a time for each key, within this process: others wait their turn, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from bleepstore.storage import Unavailable

PATIENCE = 30.0
"""Seconds in which it has to be somebody's turn."""


class KeyLocks:
    """Locks by key, which are there only while somebody has or wants them."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._wanted: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """How many keys are held or wanted."""
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, key: Hashable, *, patience: float = PATIENCE) -> AsyncIterator[None]:
        """Wait for one's turn, and have it in the block. Raises Unavailable."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._wanted[key] = self._wanted.get(key, 0) + 1
        try:
            try:
                async with asyncio.timeout(patience):
                    await lock.acquire()
            except TimeoutError:
                raise Unavailable("too many writes of this key wait for each other") from None
            try:
                yield
            finally:
                lock.release()
        finally:
            self._wanted[key] -= 1
            if not self._wanted[key]:
                del self._locks[key], self._wanted[key]
