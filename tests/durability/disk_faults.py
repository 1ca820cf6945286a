"""Disks that fail, by ``disk_faults.c``."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preloaded import compiled

SOURCE = Path(__file__).with_name("disk_faults.c")
_NUMBERS = struct.Struct("=iii")


class DiskFaults:
    """Faults of the files below a folder; ``environment`` makes a process have them."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.root = root.resolve()
        self._path = folder / "disk.faults"
        self._set(0, 0, 0)
        self.environment = {
            "LD_PRELOAD": str(compiled(SOURCE, folder)),
            "DISK_FAULTS": str(self._path),
            "DISK_ROOT": str(self.root),
        }

    def _set(self, *numbers: int) -> None:
        with self._path.open("r+b" if self._path.exists() else "w+b", buffering=0) as file:
            file.write(_NUMBERS.pack(*numbers))

    @contextmanager
    def failing(self, *, writes: int = 0, makes: int = 0, syncs: int = 0) -> Iterator[None]:
        """Writes, the making of files, and syncs fail with these numbers of ``errno``."""
        self._set(writes, makes, syncs)
        try:
            yield
        finally:
            self._set(0, 0, 0)
