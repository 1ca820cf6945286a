"""Reading a span of a blob: one piece ahead, every block checked before it is handed out."""

from __future__ import annotations

import asyncio
import contextlib
import os
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

from bleepstore.storage import Blob, BlobMissing, BlobReader, Damaged

from bleepstore_backend_local.faults import faults
from bleepstore_backend_local.format import BLOCK, check_blocks, read_trailer, trailer_size

PIECE = 16 * BLOCK
"""Bytes that are read at once: 1 MiB."""


class LocalReader(BlobReader):
    """An open span of one blob. Made in a thread, by :meth:`LocalReader.open`."""

    def __init__(self, file: int, blob: Blob, start: int, end: int, *, from_disk: bool = False) -> None:
        self._file = file
        self._from_disk = from_disk
        self._blob = blob
        self._start = start
        self._end = end
        self._first = b""
        self._sums: array[int] = array("I")
        self._running: asyncio.Future[bytes] | None = None

    @classmethod
    def open(
        cls, path: Path, blob: Blob, start: int, length: int | None, *, from_disk: bool = False
    ) -> LocalReader:
        """Open the file, read its trailer and the first piece. Raises StorageFault.

        ``from_disk``: what is cached of the file is no proof of what the disk has, and after the
        read no use to anybody else.
        """
        end = blob.size if length is None else min(start + length, blob.size)
        with faults(blob.name, absent=BlobMissing):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        reader = cls(file, blob, start, end, from_disk=from_disk)
        if from_disk:
            _uncache(file)
        try:
            with faults(blob.name):
                trailer = os.pread(file, trailer_size(blob.size) + 1, blob.size)
            reader._sums = read_trailer(trailer, blob.size, blob.name)
            if end > start:
                reader._first = reader._read(start - start % BLOCK)
        except BaseException:
            reader.release()
            raise
        return reader

    def _read(self, at: int) -> bytes:
        """The piece at ``at``, which begins a block: checked, and cut to the span."""
        # Blocks are checked whole, so the last one is read past the end of the span.
        last = min(-(-self._end // BLOCK) * BLOCK, self._blob.size)
        want = min(PIECE, last - at)
        with faults(self._blob.name):
            data = os.pread(self._file, want, at)
        if len(data) != want:
            raise Damaged(f"blob {self._blob.name} is cut short")
        check_blocks(data, at // BLOCK, self._sums, self._blob.name)
        front, back = max(self._start - at, 0), self._end - at
        return data if front == 0 and back >= want else data[front:back]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; the next is read while one is sent."""
        piece, self._first = self._first, b""
        at = self._start - self._start % BLOCK + PIECE
        loop = asyncio.get_running_loop()
        while piece:
            running = None
            if at < self._end:
                self._running = running = loop.run_in_executor(None, self._read, at)
            yield piece
            if running is None:
                return
            # A read under way outlives its reader's cancellation: ``close`` waits for it.
            piece = await asyncio.shield(running)
            at += PIECE

    async def close(self) -> None:
        """Close the file, after a read under way. Idempotent."""
        running, file = self._running, self._file
        if running is None or running.done():
            self.release()
            _look(running)
            return
        # A read that has not begun finds no file; one that has keeps the file until it is over.
        self._file = -1
        if file >= 0:
            running.add_done_callback(_look)
            running.add_done_callback(lambda _: self._close(file))
        await asyncio.wait((running,))

    def release(self) -> None:
        """Close the file while nothing reads."""
        file, self._file = self._file, -1
        if file >= 0:
            self._close(file)

    def _close(self, file: int) -> None:
        if self._from_disk:
            _uncache(file)
        os.close(file)


def _uncache(file: int) -> None:
    if hasattr(os, "posix_fadvise"):  # macOS has none
        with contextlib.suppress(OSError):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _look(running: asyncio.Future[bytes] | None) -> None:
    """What a read that nobody waits for raised is nobody's business."""
    if running is not None and not running.cancelled():
        running.exception()
