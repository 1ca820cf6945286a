"""Reading a span of a blob: whole ranges, one ahead, each only at the token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError
from bleepstore.storage import Blob, BlobMissing, BlobReader, Damaged, TokenMismatch

from bleepstore_backend_azure.calls import MIB, Retried, at
from bleepstore_backend_azure.faults import kind

if TYPE_CHECKING:
    from bleepstore_backend_azure.backend import AzureBackend

FIRST = MIB
"""Bytes of the first request, so that the first byte comes soon."""
RANGE = 4 * MIB
"""Bytes of every later one."""


class AzureReader(BlobReader):
    """An open span of one blob: holds two ranges at most. Made by :meth:`AzureReader.open`."""

    def __init__(self, backend: AzureBackend, blob: Blob, start: int, end: int) -> None:
        self._backend = backend
        self._blob = blob
        self._client = backend.blob(blob.name)
        self._at = start
        self._end = end
        self._running: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, backend: AzureBackend, blob: Blob, start: int, length: int | None) -> AzureReader:
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

    def _next(self, most: int) -> asyncio.Future[bytes]:
        want = min(most, max(self._end - self._at, 0))
        self._running = running = self._backend.calls.run(self._blob.name, self._read, self._at, want)
        self._at += want
        return running

    def _read(self, start: int, want: int) -> bytes:
        try:
            return self._range(start, want)
        except HttpResponseError as error:
            if kind(error) is TokenMismatch and self._backend.look(self._blob.name) is None:
                raise BlobMissing(self._blob.name) from error  # absence breaks the condition too
            raise

    def _range(self, start: int, want: int) -> bytes:
        conditions = at(self._blob.token)
        if not want:
            size = self._client.get_blob_properties(**conditions).size
            if size != self._blob.size:
                raise Damaged(f"{self._blob.name}: has {size} bytes, not {self._blob.size}")
            return b""
        data: bytes = self._client.download_blob(
            start, want, max_concurrency=1, decompress=False, retry_hook=Retried(), **conditions
        ).readall()
        if len(data) != want:
            raise Damaged(f"{self._blob.name}: is cut short")
        return data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the ranges in pieces; the next is fetched while one is sent."""
        while (running := self._running) is not None:
            data = await asyncio.shield(running)
            self._running = None
            if self._at < self._end:
                self._next(RANGE)
            for n in range(0, len(data), MIB):
                yield data[n : n + MIB]

    async def close(self) -> None:
        """Leave a request under way to itself. Idempotent."""
        running, self._running = self._running, None
        if running is not None:
            running.add_done_callback(_look)


def _look(running: asyncio.Future[bytes]) -> None:
    """What a read that nobody waits for raised is nobody's business."""
    if not running.cancelled():
        running.exception()
