"""Which states are being read, in all processes of a server, so that garbage is kept for them.

``metadata.db-readers/`` beside the database has one file a process, locked while it lives, with the
oldest sequence number that it is reading from; and the file ``seq`` with the last committed one,
which the writer keeps. A reader notes its number before it reads a row, and the number may be older
than what it will see: that only keeps a blob for longer. Who removes garbage takes the last committed
number before it looks at the readers: one that notes its number later sees at least that state.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

_U64 = struct.Struct("Q")  # native, which is one store and one load: no process sees half a number
NOBODY = (1 << 64) - 1
"""What a process notes that reads nothing."""


class Readers:
    """The readers of one process, and a look at those of all others."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._path = folder / name
        self._file, self._slot = self._take_slot()
        self._seq_file, self._seq = _open(folder / "seq", 0)
        self._counts: dict[int, int] = {}

    def _take_slot(self) -> tuple[IO[bytes], mmap.mmap]:
        while True:
            file, slot = _open(self._path, NOBODY)
            fcntl.flock(file, fcntl.LOCK_EX)
            # Before the lock, a look from another process took the file for one of the dead.
            if os.fstat(file.fileno()).st_nlink > 0:
                return file, slot
            slot.close()
            file.close()

    def close(self) -> None:
        """Read nothing more. Idempotent."""
        if not self._file.closed:
            self._path.unlink(missing_ok=True)
            for mapped, file in ((self._slot, self._file), (self._seq, self._seq_file)):
                mapped.close()
                file.close()

    @property
    def seq(self) -> int:
        """The last sequence number that the writer noted."""
        return int(_U64.unpack_from(self._seq)[0])

    @seq.setter
    def seq(self, seq: int) -> None:
        _U64.pack_into(self._seq, 0, seq)

    def reading(self) -> AbstractContextManager[None]:
        """Hold the present state, from entering on."""
        return _Hold(self)

    def hold(self) -> int:
        """Hold the present state; returns what :meth:`release` takes."""
        counts, seq = self._counts, self.seq
        counts[seq] = counts.get(seq, 0) + 1
        if len(counts) == 1:
            _U64.pack_into(self._slot, 0, seq)
        return seq

    def release(self, seq: int) -> None:
        """Let a state go that was held."""
        counts = self._counts
        if counts[seq] > 1:
            counts[seq] -= 1
            return
        del counts[seq]
        if not self._file.closed:  # a body may end after its engine
            # Numbers only rise, so the oldest is the first of the dict.
            _U64.pack_into(self._slot, 0, next(iter(counts), NOBODY))

    def is_alive(self, name: str) -> bool:
        """Whether the process that has (or had) its file under this name lives."""
        if name == self._path.name:
            return not self._file.closed
        with contextlib.suppress(FileNotFoundError), (self._folder / name).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def oldest(self) -> int:
        """A number below which nobody reads: what was dropped at or before it can go."""
        found = min(self.seq, next(iter(self._counts), NOBODY))
        for path in self._folder.iterdir():
            if path.name == "seq" or path == self._path:
                continue
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    data = file.read(_U64.size)
                    found = min(found, _U64.unpack(data)[0] if len(data) == _U64.size else 0)
                else:
                    path.unlink(missing_ok=True)  # its process is dead
        return found


class _Hold:
    """What :meth:`Readers.reading` returns: a class, because every GET enters one."""

    __slots__ = ("_readers", "_seq")

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def __enter__(self) -> None:
        self._seq = self._readers.hold()

    def __exit__(self, *_: object) -> None:
        self._readers.release(self._seq)


def _open(path: Path, value: int) -> tuple[IO[bytes], mmap.mmap]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(descriptor, "r+b", buffering=0)
    if os.fstat(descriptor).st_size < _U64.size:
        os.pwrite(descriptor, _U64.pack(value), 0)
    return file, mmap.mmap(descriptor, _U64.size)
