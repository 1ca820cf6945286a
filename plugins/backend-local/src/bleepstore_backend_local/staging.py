"""One write: a file under ``tmp/``, then under its name.

File operations run in threads, one at a time for a blob; while one piece is written the next is
received. A blob is published by renaming: before that no reader finds it, after it and the sync of
its folder it is durable.

Whoever is cancelled stops waiting, but the operation in its thread goes on, and the next begins
when it is over: a file is never closed under a write, nor removed under its own renaming. What has
failed stays failed: neither a write nor a sync is tried again, because after a failed sync the
kernel may call the pages clean.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bleepstore.storage import Blob, Buffer, StagedBlob, Unavailable

from bleepstore_backend_local.faults import faults
from bleepstore_backend_local.format import BlockSums

if TYPE_CHECKING:
    from bleepstore_backend_local.backend import LocalBackend

log = logging.getLogger("bleepstore.local")


class LocalStaged(StagedBlob):
    """A :class:`~bleepstore.storage.StagedBlob` of the local disk."""

    def __init__(self, backend: LocalBackend, name: str) -> None:
        self.name = name
        self._backend = backend
        self._temporary = backend.temporary(name)
        self._sums = BlockSums()
        self._file = -1
        self._running: asyncio.Future[Any] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def write(self, data: Buffer) -> None:
        """Append; returns while the piece is being written, and raises for the one before."""
        await self._finish()
        self._running = self._backend.in_thread(self._write, bytes(data))

    async def _finish(self) -> None:
        """Wait for the operation under way. Raises what it raised, each time."""
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None

    def _write(self, data: bytes) -> None:
        with faults(self.name):
            if self._file < 0:
                self._create()
            self._sums.update(data)
            write_all(self._file, data)

    def _create(self) -> None:
        self._backend.journal.enter(self.name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self._temporary, flags, 0o600)

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Make it durable and readable; ``expect`` is for native backends."""
        await self._finish()
        self._running = self._backend.in_thread(self._publish)
        await self._finish()
        return Blob(name=self.name, size=self._sums.size)

    def _publish(self) -> None:
        with faults(self.name):
            if self._file < 0:
                self._create()
            write_all(self._file, self._sums.trailer())
            durable = self._backend.durable
            if durable:
                sync_file(self._file)
            self._close()
            target = self._backend.path(self.name)
            self._temporary.rename(target)
            if durable:
                sync_folder(target.parent)

    def _close(self) -> None:
        # Whatever close(2) says, the descriptor is gone, and soon another file's.
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    async def settle(self) -> None:
        """Metadata knows. Nobody waits for the journal to hear of it."""
        with contextlib.suppress(Unavailable):
            self._backend.in_thread(self._backend.journal.leave, self.name)

    async def discard(self) -> None:
        """Remove all traces, to the end even when cancelled."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._discard(), name=f"discard {self.name}")
        await asyncio.shield(self._ending)

    async def _discard(self) -> None:
        if self._running is not None:
            await asyncio.wait((self._running,))
            self._running.exception()
        try:
            await self._backend.in_thread(self._remove)
        except Unavailable:
            log.warning("blob %s is left to the next start", self.name)

    def _remove(self) -> None:
        try:
            self._close()
        except OSError as error:
            log.warning("blob %s: %s", self.name, error.strerror)
        try:
            self._temporary.unlink(missing_ok=True)
            self._backend.path(self.name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("blob %s is left to the next start: %s", self.name, error.strerror)
        else:
            self._backend.journal.leave(self.name)


def write_all(file: int, data: bytes) -> None:
    """Write all of ``data``: the kernel may take less at once, a full disk first of all."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def sync_file(file: int) -> None:
    """Bring a file's bytes and size to the disk."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
