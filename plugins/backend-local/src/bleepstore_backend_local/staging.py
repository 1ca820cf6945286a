"""One write: a file under ``tmp/``, then under its name.

File operations run in threads, one at a time for a blob; while one piece is written the next is
received. A blob is published by renaming: before that no reader finds it, after it and the sync of
its folder it is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bleepstore.storage import Blob, Buffer, StagedBlob

from bleepstore_backend_local.faults import faults
from bleepstore_backend_local.format import BlockSums

if TYPE_CHECKING:
    from bleepstore_backend_local.backend import LocalBackend


class LocalStaged(StagedBlob):
    """A :class:`~bleepstore.storage.StagedBlob` of the local disk."""

    def __init__(self, backend: LocalBackend, name: str) -> None:
        self.name = name
        self._backend = backend
        self._temporary = backend.temporary(name)
        self._sums = BlockSums()
        self._file = -1
        self._running: asyncio.Future[Any] | None = None
        self._published = False

    async def write(self, data: Buffer) -> None:
        """Append; returns while the piece is being written, and raises for the one before."""
        await self._finish()
        self._running = asyncio.get_running_loop().run_in_executor(None, self._write, bytes(data))

    async def _finish(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running

    def _write(self, data: bytes) -> None:
        with faults(self.name):
            if self._file < 0:
                self._create()
            self._sums.update(data)
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]

    def _create(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self._temporary, flags, 0o600)

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Make it durable and readable; ``expect`` is for native backends."""
        await self._finish()
        await asyncio.get_running_loop().run_in_executor(None, self._publish)
        return Blob(name=self.name, size=self._sums.size)

    def _publish(self) -> None:
        with faults(self.name):
            if self._file < 0:
                self._create()
            os.write(self._file, self._sums.trailer())
            durable = self._backend.durable
            if durable:
                sync_file(self._file)
            os.close(self._file)
            self._file = -1
            target = self._backend.path(self.name)
            self._temporary.rename(target)
            self._published = True
            if durable:
                sync_folder(target.parent)

    async def settle(self) -> None:
        """Metadata knows."""
        self._backend.journal.leave(self.name)

    async def discard(self) -> None:
        """Remove all traces."""
        with contextlib.suppress(Exception):
            await self._finish()
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._remove))
        self._backend.journal.leave(self.name)

    def _remove(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        with faults(self.name):
            self._temporary.unlink(missing_ok=True)
            if self._published:
                self._backend.path(self.name).unlink(missing_ok=True)


def sync_file(file: int) -> None:
    """Bring a file's bytes and size to the disk."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
