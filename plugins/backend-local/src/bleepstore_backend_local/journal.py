"""Which blobs a process has in flight, so that what a dead one left can be found without a scan.

``journal/NAME`` is locked by its process while it lives, and holds one line of 33 bytes per slot:
the name of a blob, or spaces where the slot is free. A name is written before the file of the blob
exists, and erased when metadata knows what became of it. Nothing here is synced: a power cut may
lose names, which ``scrub`` finds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
from collections.abc import Collection
from pathlib import Path

WIDTH = 33
_FREE = b" " * 32 + b"\n"

log = logging.getLogger("bleepstore.local")


class Journal:
    """The journal of this process. Its methods are called in any thread."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._path = folder / name
        self._file = _make(self._path)
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._free: list[int] = []

    def enter(self, blob: str) -> None:
        """Note a blob before anything of it exists. Raises OSError."""
        with self._lock:
            slot = self._free[-1] if self._free else len(self._slots)
            if os.pwrite(self._file, blob.encode() + b"\n", slot * WIDTH) != WIDTH:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            if self._free:
                self._free.pop()
            self._slots[blob] = slot

    def leave(self, blob: str) -> None:
        """The fate of a blob is decided. Idempotent, and never fails: a name too many is harmless."""
        with self._lock:
            slot = self._slots.get(blob)
            if slot is None:
                return
            try:
                os.pwrite(self._file, _FREE, slot * WIDTH)
            except OSError as error:
                log.warning("blob %s stays in %s: %s", blob, self._path, error.strerror)
                return
            del self._slots[blob]
            self._free.append(slot)

    def dead(self) -> list[str]:
        """Names in the journals of dead processes."""
        return self._look(())

    def all(self) -> set[str]:
        """Names in the journals of all processes, living or dead."""
        found: set[str] = set()
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.update(_names(path.read_bytes()))
        return found

    def forget(self, names: Collection[str]) -> None:
        """These names of dead processes are decided."""
        self._look(frozenset(names))

    def _look(self, decided: Collection[str]) -> list[str]:
        """Names of dead processes that are undecided; a journal without any is removed."""
        found: list[str] = []
        for path in sorted(self._folder.iterdir()):
            if path == self._path:
                continue
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                names = [name for name in _names(file.read()) if name not in decided]
                found += names
                if not names:
                    path.unlink(missing_ok=True)
        return found

    def close(self) -> None:
        """End; what is still in flight stays noted for the next process. Idempotent."""
        with self._lock:
            file, self._file = self._file, -1
            if file < 0:
                return
            if not self._slots:
                self._path.unlink(missing_ok=True)
            os.close(file)


def _make(path: Path) -> int:
    """Make a locked file. Whoever looked between making and locking has removed it: make it anew."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return file
        os.close(file)


def _names(content: bytes) -> list[str]:
    lines = (content[at : at + 32] for at in range(0, len(content), WIDTH))
    return [line.decode() for line in lines if is_name(line)]


def is_name(line: bytes) -> bool:
    """Whether this can be a blob's name: 32 lower-case hex digits."""
    return len(line) == 32 and not line.translate(None, b"0123456789abcdef")
