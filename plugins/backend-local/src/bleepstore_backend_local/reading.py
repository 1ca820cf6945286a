"""Reading a span of a blob: every block is checked before it is handed out.

What the system has in its cache is read on the event loop, which takes less than to ask a thread for
it. Everything else, and whatever is not as it should be, is read in threads, one piece ahead.
"""

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
"""Bytes that a thread reads at once: 1 MiB."""
RWF_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
"""Reads no byte that is not in the cache. macOS has no such flag."""
CACHED_PIECE = 4 * BLOCK
"""Bytes that are read at once on the event loop: few enough for the processor's own cache."""
CACHED_SPAN = 16 * CACHED_PIECE
"""Of a longer span all is read by a thread, while the event loop sends."""


class LocalReader(BlobReader):
    """An open span of one blob. Made in a thread, by :meth:`LocalReader.open`."""

    def __init__(self, file: int, blob: Blob, start: int, end: int, *, from_disk: bool = False) -> None:
        self._file = file
        self._from_disk = from_disk
        self._blob = blob
        self._start = start
        self._end = end
        self._cached = False
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

    @classmethod
    def open_cached(cls, path: Path, blob: Blob, start: int, length: int | None) -> LocalReader | None:
        """As :meth:`open`, but on the event loop: no read waits for a disk.

        ``None`` where one would, or where anything is not as it should be.
        """
        end = blob.size if length is None else min(start + length, blob.size)
        if not RWF_NOWAIT or not 0 < end - start <= CACHED_SPAN:
            return None
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        reader = cls(file, blob, start, end)
        reader._cached = True
        with contextlib.suppress(Damaged):
            trailer = _read_cached(file, trailer_size(blob.size) + 1, blob.size)
            reader._sums = read_trailer(trailer, blob.size, blob.name)
            reader._first = reader._read_cached(start - start % BLOCK)
        if reader._first:
            return reader
        reader.release()
        return None

    def _bounds(self, at: int, piece: int) -> int:
        """Bytes to read for the piece at ``at``."""
        # Blocks are checked whole, so the last one is read past the end of the span.
        last = min(-(-self._end // BLOCK) * BLOCK, self._blob.size)
        return min(piece, last - at)

    def _checked(self, data: bytes, at: int) -> bytes:
        """The piece at ``at``, which begins a block, cut to the span. Raises Damaged."""
        check_blocks(data, at // BLOCK, self._sums, self._blob.name)
        front, back = max(self._start - at, 0), self._end - at
        return data if front == 0 and back >= len(data) else data[front:back]

    def _read(self, at: int) -> bytes:
        want = self._bounds(at, PIECE)
        with faults(self._blob.name):
            data = os.pread(self._file, want, at)
        if len(data) != want:
            raise Damaged(f"blob {self._blob.name} is cut short")
        return self._checked(data, at)

    def _read_cached(self, at: int) -> bytes:
        want = self._bounds(at, CACHED_PIECE)
        data = _read_cached(self._file, want, at)
        return self._checked(data, at) if len(data) == want else b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; what a thread is to read next, it reads while one is sent."""
        piece, self._first = self._first, b""
        at = self._start - self._start % BLOCK
        loop = asyncio.get_running_loop()
        while piece:
            at += CACHED_PIECE if self._cached else PIECE
            running = None
            if at < self._end and not self._cached:
                self._running = running = loop.run_in_executor(None, self._read, at)
            yield piece
            if at >= self._end:
                return
            if running is None:
                piece = self._read_cached(at)
                if piece:
                    continue
                self._cached = False
                self._running = running = loop.run_in_executor(None, self._read, at)
            # A read under way outlives its reader's cancellation: ``close`` waits for it.
            piece = await asyncio.shield(running)

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


def _read_cached(file: int, size: int, at: int) -> bytes:
    """At most ``size`` bytes at ``at``: as many as are in the system's cache."""
    buffer = bytearray(size)
    try:
        got = os.preadv(file, (buffer,), at, RWF_NOWAIT)
    except OSError:
        return b""
    return bytes(buffer) if got == size else bytes(buffer[:got])


def _uncache(file: int) -> None:
    if hasattr(os, "posix_fadvise"):  # macOS has none
        with contextlib.suppress(OSError):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _look(running: asyncio.Future[bytes] | None) -> None:
    """What a read that nobody waits for raised is nobody's business."""
    if running is not None and not running.cancelled():
        running.exception()
