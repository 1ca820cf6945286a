"""Which blobs a process has in flight, so that what a dead one left can be found without a scan.

``journal/NAME`` is locked by its process while it lives, and holds one line of 33 bytes per slot:
the name of a blob, or spaces where the slot is free. A name is written before the file of the blob
exists, and erased when metadata knows what became of it. Nothing here is synced: a power cut may
lose names, which ``scrub`` finds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

WIDTH = 33
_FREE = b" " * 32 + b"\n"


class Journal:
    """The journal of this process."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._path = folder / name
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._slots: dict[str, int] = {}
        self._free: list[int] = []

    def enter(self, blob: str) -> None:
        """Note a blob before anything of it exists."""
        slot = self._free.pop() if self._free else len(self._slots)
        os.pwrite(self._file, blob.encode() + b"\n", slot * WIDTH)
        self._slots[blob] = slot

    def leave(self, blob: str) -> None:
        """The fate of a blob is decided. Idempotent."""
        slot = self._slots.pop(blob, None)
        if slot is not None:
            os.pwrite(self._file, _FREE, slot * WIDTH)
            self._free.append(slot)

    def dead(self) -> dict[Path, list[str]]:
        """The journals of dead processes, and the names in each."""
        found: dict[Path, list[str]] = {}
        for path in sorted(self._folder.iterdir()):
            if path == self._path:
                continue
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                found[path] = [line.decode() for line in file.read().split(b"\n") if _is_name(line)]
        return found

    def forget(self, names: Iterable[str]) -> None:
        """Names of dead processes are decided: remove journals that hold no others."""
        decided = set(names)
        for path, held in self.dead().items():
            if decided.issuperset(held):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """End; what is still in flight stays noted for the next process. Idempotent."""
        if self._file < 0:
            return
        if not self._slots:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1


def _is_name(line: bytes) -> bool:
    return len(line) == 32 and not line.translate(None, b"0123456789abcdef")
