"""Reads of a native backend over a blocking SDK that fetches whole ranges.

A reader fetches one range ahead while the one before is sent, and holds these two. The first is small,
so that the first byte comes soon, and is there before the reader is given out: what cannot be read is
known by then. A fetch whose reader was closed or cancelled comes to its end by itself.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TypeVar

from bleepstore.native_calls import Block, Calls
from bleepstore.storage import Blob, BlobReader

FIRST = 1 << 20
"""Bytes of the first range."""
RANGE = 4 << 20
"""Bytes of every later one."""
PIECE = 1 << 20
"""Bytes that are given out at once."""

_R = TypeVar("_R", bound="RangeReader")


class RangeReader(BlobReader):
    """An open span of one blob. The hook runs in threads."""

    def __init__(self, calls: Calls, blob: Blob, start: int, length: int | None) -> None:
        self.blob = blob
        self.start = start
        self.end = blob.size if length is None else min(start + length, blob.size)
        """Where the span ends."""
        self._calls = calls
        self._at = start
        self._running: asyncio.Future[Block | bytes] | None = None

    @abstractmethod
    def fetch_blocking(self, start: int, want: int) -> Block | bytes:
        """Fetch ``want`` bytes at the blob's token: all of them, or raise a StorageFault.

        Ranges come in order, one at a time. None are wanted where the span is empty: only whether the
        blob is there then, of its size.
        """

    async def begin(self: _R) -> _R:
        """Fetch the first range; returns the reader. Raises StorageFault."""
        running = self._next(FIRST)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_look)
            raise
        return self

    def _next(self, most: int) -> asyncio.Future[Block | bytes]:
        want = min(most, max(self.end - self._at, 0))
        self._running = running = self._calls.run(self.blob.name, self.fetch_blocking, self._at, want)
        self._at += want
        return running

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the ranges in pieces; the next is fetched while one is sent."""
        while (running := self._running) is not None:
            fetched = await asyncio.shield(running)
            self._running = None
            del running
            if self._at < self.end:
                self._next(RANGE)
            for n in range(0, len(fetched), PIECE):
                yield fetched[n : n + PIECE]
            del fetched

    async def close(self) -> None:
        """Leave a fetch under way to itself. Idempotent."""
        running, self._running = self._running, None
        if running is not None:
            running.add_done_callback(_look)


def _look(running: asyncio.Future[Block | bytes]) -> None:
    """What a fetch that nobody waits for raised is nobody's business."""
    if not running.cancelled():
        running.exception()
