"""Blobs on the local disk.

::

    root_dir/
      store-id          the id of the store that this root belongs to, and the format's version
      lock              locked by every process of the one server that uses it
      journal/          names in flight, a file a process (see ``journal``)
      tmp/              blobs that are being written
      blobs/00..ff/     blobs, by the last two hex digits of their names (see ``format``)
      quarantine/       damaged blobs that ``scrub`` moved there
      trash/            files that no row named, from ``scrub`` too

Names rise with time and end in random digits, so the last two spread evenly. No name of a client
ever reaches the file system.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from bleepstore.storage import (
    Aside,
    BackendFailed,
    Blob,
    BlobReader,
    Capabilities,
    Layout,
    StagedBlob,
    StorageBackend,
    StoreMismatch,
    Target,
    Unavailable,
)

from bleepstore_backend_local import inventory
from bleepstore_backend_local.faults import faults
from bleepstore_backend_local.journal import Journal
from bleepstore_backend_local.reading import LocalReader
from bleepstore_backend_local.staging import LocalStaged, sync_file, sync_folder, write_all

VERSION = 1
TOKEN = "BLEEPSTORE_SERVER_TOKEN"  # noqa: S105 - the name of a variable
"""By this variable the workers of one server know each other."""
WRITERS = 16
"""Threads that write: a file system syncs for many at once, and reads do not wait behind syncs."""

NOTICEABLE = 0.002
"""Seconds that opening a file on the event loop may take before others are opened in threads."""
WARY = 1.0
"""Seconds for which they are."""

P = ParamSpec("P")
T = TypeVar("T")


class LocalBackend(StorageBackend):
    """A :class:`~bleepstore.storage.StorageBackend` over one folder."""

    capabilities = Capabilities(layout=Layout.OPAQUE, inline=True, scrub=True)
    journal: Journal

    def __init__(self, root: Path, *, durable: bool = True, token: str | None = None) -> None:
        """``durable``: sync what is published. ``token``: who shares the folder."""
        self.durable = durable
        self._root = root
        self._token = token or os.environ.get(TOKEN) or secrets.token_hex(16)
        self._lock: IO[bytes] | None = None
        self._threads_until = 0.0
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="bleepstore-write")

    def path(self, name: str) -> Path:
        """Where a published blob is."""
        return self._root / "blobs" / name[-2:] / name

    def temporary(self, name: str) -> Path:
        """Where a blob is while it is being written."""
        return self._root / "tmp" / name

    def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Do file operations of a write in a thread. Raises Unavailable after :meth:`stop`."""
        try:
            return asyncio.wrap_future(self._writers.submit(work, *args, **kwargs))
        except RuntimeError as error:
            raise Unavailable(f"{self._root}: the server is stopping") from error

    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Make or open the folder."""
        await asyncio.get_running_loop().run_in_executor(None, self._start, store_id, fresh)

    def _start(self, store_id: str, fresh: bool) -> None:
        try:
            self._make_root()
            self._lock = self._admit()
            self._identify(store_id, fresh=fresh)
            for folder in ("journal", "tmp", "blobs"):
                (self._root / folder).mkdir(mode=0o700, exist_ok=True)
            for number in range(256):
                (self._root / "blobs" / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
            if self.durable:
                sync_folder(self._root / "blobs")
                sync_folder(self._root)
            self.journal = Journal(self._root / "journal", f"{os.getpid()}-{secrets.token_hex(4)}")
        except OSError as error:
            self._close()
            raise BackendFailed(f"{self._root}: {error.strerror}") from error
        except BaseException:
            self._close()
            raise

    def _make_root(self) -> None:
        """Make the folder and those above it: a name is durable before there is anything under it.

        The lowest one that is there already may be all that a start made that was cut off.
        """
        missing, present = [], self._root
        while not present.exists():
            missing.append(present)
            present = present.parent
        self._sync_name(present)
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._sync_name(folder)

    def _sync_name(self, folder: Path) -> None:
        if self.durable:
            with contextlib.suppress(PermissionError):  # a folder of others, which cannot be listed
                sync_folder(folder.parent)

    def _admit(self) -> IO[bytes]:
        descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.truncate(0)
                file.write(f"{self._token} {os.getpid()}\n".encode())
            # From exclusive to shared is not atomic: whoever came in between has left its own token.
            fcntl.flock(file, fcntl.LOCK_SH)
            file.seek(0)
            owner, _, pid = file.read().decode(errors="replace").partition(" ")
            if owner != self._token:
                raise BackendFailed(
                    f"{self._root}: is already in use by another BleepStore server (pid {pid.strip()})"
                )
        except BaseException:
            file.close()
            raise
        return file

    def _identify(self, store_id: str, *, fresh: bool) -> None:
        """Take or compare the store id. Raises StoreMismatch."""
        path = self._root / "store-id"
        line = f"{store_id} {VERSION}\n"
        try:
            stored = path.read_text()
        except FileNotFoundError:
            blobs = self._root / "blobs"
            if blobs.is_dir() and any(next(folder.iterdir(), None) for folder in blobs.iterdir()):
                raise StoreMismatch(f"{self._root}: holds blobs, but not the id of their store") from None
            if not fresh:
                raise StoreMismatch(
                    f"{self._root}: does not hold the store {store_id} of the metadata; is its disk mounted?"
                ) from None
            self._write_id(path, line)
            return
        if stored == line:
            return
        name, _, version = stored.partition(" ")
        if name == store_id:
            raise StoreMismatch(f"{self._root}: has format {version.strip()}, and this backend {VERSION}")
        made = "the metadata was made anew" if fresh else "the metadata is another store's"
        raise StoreMismatch(f"{self._root}: belongs to store {name}, not to {store_id}: {made}")

    def _write_id(self, path: Path, line: str) -> None:
        """Whole or not at all: half an id after a power cut would lock the store's owner out."""
        temporary = self._root / f"store-id-{os.getpid()}-{secrets.token_hex(4)}"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, line.encode())
            if self.durable:
                sync_file(file)
        finally:
            os.close(file)
        temporary.replace(path)

    async def stop(self) -> None:
        """Let everything go, after the operations under way."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._writers.shutdown()
        if hasattr(self, "journal"):
            self.journal.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def stage(self, name: str, *, size: int | None = None, target: Target | None = None) -> StagedBlob:
        """Begin a write; the first file operation is that of the first piece."""
        return LocalStaged(self, name)

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a span, with its first piece read and checked."""
        path = self.path(blob.name)
        cached = self._open_cached(path, blob, start, length)
        if cached is not None:
            return cached
        return await self._open(LocalReader.open, path, blob, start, length)

    def _open_cached(self, path: Path, blob: Blob, start: int, length: int | None) -> LocalReader | None:
        began = time.monotonic()
        if began < self._threads_until:
            return None
        reader = LocalReader.open_cached(path, blob, start, length)
        now = time.monotonic()
        if now - began > NOTICEABLE:
            # The name itself was not in the cache. Where one is not, others are not.
            self._threads_until = now + WARY
        return reader

    async def _open(self, work: Callable[P, LocalReader], *args: P.args, **kwargs: P.kwargs) -> LocalReader:
        call = functools.partial(work, *args, **kwargs)
        opening = asyncio.get_running_loop().run_in_executor(None, call)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove a blob."""
        with faults(name):
            await asyncio.get_running_loop().run_in_executor(None, self._delete, name)

    def _delete(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)
        self.temporary(name).unlink(missing_ok=True)

    async def abandoned(self) -> Iterable[str]:
        """Names in the journals of dead processes."""
        with faults(str(self._root)):
            return await asyncio.get_running_loop().run_in_executor(None, self.journal.dead)

    async def resolve(self, names: Iterable[str]) -> None:
        """Forget names of dead processes."""
        with faults(str(self._root)):
            await asyncio.get_running_loop().run_in_executor(None, self.journal.forget, list(names))

    # --- scrub ------------------------------------------------------------------------------------------

    async def verify(self, blob: Blob) -> None:
        """Read a whole blob from the disk."""
        reader = await self._open(LocalReader.open, self.path(blob.name), blob, 0, None, from_disk=True)
        try:
            async for _ in reader:
                pass
        finally:
            await reader.close()

    async def names(self, endings: range) -> Collection[str]:
        """Files that are, were to be or might be blobs."""
        with faults(str(self._root)):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, inventory.names, self._root, endings)

    async def in_flight(self) -> Collection[str]:
        """Names in all journals."""
        with faults(str(self._root)):
            return await asyncio.get_running_loop().run_in_executor(None, self.journal.all)

    async def set_aside(self, name: str, where: Aside) -> str | None:
        """Move a file to ``quarantine/`` or ``trash/``."""
        move = functools.partial(inventory.set_aside, self._root, name, where, durable=self.durable)
        with faults(name):
            return await asyncio.get_running_loop().run_in_executor(None, move)


def _close_unwanted(opening: asyncio.Future[LocalReader]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().release()
