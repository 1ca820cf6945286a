"""Reading a span of an object: whole ranges, one ahead, each of the token's generation only.

The first range asks whether the token is what is there now. Later ones ask for its generation,
which a bucket that keeps versions has even after it was replaced. An object that is read whole is
compared with its CRC-32C before its last range is given out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bleepstore.native_calls import Block
from bleepstore.storage import Blob, BlobMissing, BlobReader, Damaged, TokenMismatch

from bleepstore_backend_gcp.calls import MIB, Attempts, at, numbers_of
from bleepstore_backend_gcp.faults import ERRORS, kind
from bleepstore_backend_gcp.objects import crc_of, decoded

if TYPE_CHECKING:
    from bleepstore_backend_gcp.backend import GcpBackend

FIRST = MIB
"""Bytes of the first request, so that the first byte comes soon."""
RANGE = 4 * MIB
"""Bytes of every later one."""


class GcpReader(BlobReader):
    """An open span of one object: holds two ranges at most. Made by :meth:`GcpReader.open`."""

    def __init__(self, backend: GcpBackend, blob: Blob, start: int, end: int) -> None:
        self._backend = backend
        self._blob = blob
        self._at = start
        self._end = end
        self._whole = (start, end) == (0, blob.size)
        self._crc = 0
        self._begun = False
        self._running: asyncio.Future[Block] | None = None

    @classmethod
    async def open(cls, backend: GcpBackend, blob: Blob, start: int, length: int | None) -> GcpReader:
        """Read the first range. Raises StorageFault."""
        end = blob.size if length is None else min(start + length, blob.size)
        reader = cls(backend, blob, start, end)
        running = reader._next(FIRST)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_look)
            raise
        return reader

    def _next(self, most: int) -> asyncio.Future[Block]:
        want = min(most, max(self._end - self._at, 0))
        self._running = running = self._backend.calls.run(self._blob.name, self._read, self._at, want)
        self._at += want
        return running

    def _read(self, start: int, want: int) -> Block:
        if not want:
            size = self._backend.at_token(self._blob.name, self._blob.token, missing=False).size
            if size != self._blob.size:
                raise Damaged(f"{self._blob.name}: has {size} bytes, not {self._blob.size}")
            return self._backend.buffers.take(0)
        try:
            return self._range(start, want)
        except ERRORS as error:
            found = kind(error)
            if found is BlobMissing and self._begun:
                raise TokenMismatch(f"{self._blob.name}: was replaced while it was read") from error
            if found is Damaged:  # there are no such bytes: perhaps in another state of it only
                self._backend.at_token(self._blob.name, self._blob.token, missing=False)
            if found is TokenMismatch and self._backend.look(self._blob.name) is None:
                raise BlobMissing(self._blob.name) from error  # absence breaks the condition too
            raise

    def _range(self, start: int, want: int) -> Block:
        token, name = self._blob.token, self._blob.name
        if token is None or not self._begun:
            item, conditions = self._backend.item(name), at(token)
        else:
            item, conditions = self._backend.item(name, numbers_of(token)[0]), {}
        attempts = Attempts(self._backend.section)
        block = self._backend.buffers.take(want)
        item.download_to_file(
            _Sink(block),
            start=start,
            end=start + want - 1,
            raw_download=True,
            checksum=None,
            **conditions,
            **attempts.arguments,
        )
        if token is not None and item.generation not in (None, numbers_of(token)[0]):
            raise TokenMismatch(f"{name}: is at {item.generation}, not at {token}")  # of an emulator
        if block.room:
            raise Damaged(f"{name}: is cut short")
        self._begun = True
        if self._whole:
            self._crc = crc_of(block, self._crc)
            if start + want == self._end and item.crc32c and decoded(item.crc32c) != self._crc:
                raise Damaged(f"{name}: the bytes are not those of its CRC-32C")
        return block

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the ranges in pieces; the next is fetched while one is sent."""
        while (running := self._running) is not None:
            block = await asyncio.shield(running)
            self._running = None
            del running
            if self._at < self._end:
                self._next(RANGE)
            for n in range(0, block.filled, MIB):
                yield block.bytes(n, n + MIB)
            del block

    async def close(self) -> None:
        """Leave a request under way to itself. Idempotent."""
        running, self._running = self._running, None
        if running is not None:
            running.add_done_callback(_look)


class _Sink:
    """A buffer as the SDK writes to it, which begins anew where an attempt was for nothing."""

    def __init__(self, block: Block) -> None:
        self._block = block

    def write(self, data: bytes) -> None:
        self._block.append(memoryview(data))

    def seek(self, place: int) -> None:
        self._block.filled = place


def _look(running: asyncio.Future[Block]) -> None:
    """What a read that nobody waits for raised is nobody's business."""
    if not running.cancelled():
        running.exception()
