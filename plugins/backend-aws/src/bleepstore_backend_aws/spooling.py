"""Bytes that wait until their call can be made in one go: in memory while they are few.

A part of an upload may have 5 GiB, and its length and digest must be known before it is sent. Up to
:data:`SMALL` bytes stay in memory, while all spools of the process together have less than their
budget; then they go to a temporary file without a name.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from bleepstore_backend_aws.calls import MIB

SMALL = 8 * MIB
"""Bytes of one spool in memory."""


class Body(Protocol):
    """What the SDK takes for a body that it can send again: a file, as far as it looks."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; all that is left when negative."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go somewhere; where that is."""

    def tell(self) -> int:
        """Where it is."""


class Pieces:
    """Pieces in memory as a :class:`Body`. Joined they would be there twice, once for each thread."""

    def __init__(self, pieces: Sequence[bytes], size: int) -> None:
        self._pieces = pieces
        self._size = size
        self._index = self._offset = self._before = 0

    def read(self, size: int = -1, /) -> bytes:
        """Bytes of one piece, up to ``size``; all that is left when negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(self._size), b""))
        while self._index < len(self._pieces):
            piece = self._pieces[self._index]
            found = piece[self._offset : self._offset + size]
            self._offset += len(found)
            if found or not size:
                return found
            self._index, self._offset, self._before = self._index + 1, 0, self._before + len(piece)
        return b""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go somewhere; where that is."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        left = offset + origin
        self._index = self._offset = self._before = 0
        for piece in self._pieces:
            if left < len(piece):
                break
            self._index += 1
            self._before += len(piece)
            left -= len(piece)
        else:
            left = 0
        self._offset = left
        return self.tell()

    def tell(self) -> int:
        """Where it is."""
        return self._before + self._offset


class Budget:
    """Bytes that all spools may hold in memory. Of the event loop: no locks."""

    def __init__(self, limit: int, folder: Path | None = None) -> None:
        self.folder = folder
        self._left = limit

    def take(self, size: int) -> bool:
        """Whether there is room for ``size`` bytes, which are taken then."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Let bytes go."""
        self._left += size


class Spool:
    """One body or part. ``keep`` runs on the event loop, the rest in threads."""

    def __init__(self, budget: Budget) -> None:
        self.size = 0
        self._budget = budget
        self._taken = 0
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._digest: bytes | None = None

    def keep(self, data: bytes) -> bool:
        """Append in memory; ``False`` where it has to be :meth:`spill`."""
        if self._file is not None or self.size + len(data) > SMALL or not self._budget.take(len(data)):
            return False
        self._taken += len(data)
        self.size += len(data)
        self._pieces.append(data)
        return True

    def spill(self, data: bytes) -> None:
        """Append in the file, after what was in memory. Raises OSError."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._budget.folder)  # noqa: SIM115
        pieces, self._pieces = [*self._pieces, data], []
        for piece in pieces:
            self._md5.update(piece)
            self._file.write(piece)
        self.size += len(data)

    def release(self) -> None:
        """Give back what is not in memory any more. On the event loop."""
        if not self._pieces:
            taken, self._taken = self._taken, 0
            self._budget.give(taken)

    def body(self) -> tuple[Body, bytes]:
        """All bytes and their MD5. Once or more, when all of them are there."""
        if self._file is not None:
            self._file.seek(0)
            return self._file, self._md5.digest()
        if self._digest is None:
            for piece in self._pieces:
                self._md5.update(piece)
            self._digest = self._md5.digest()
        return Pieces(self._pieces, self.size), self._digest

    def close(self) -> None:
        """Let all bytes go. Idempotent; on the event loop."""
        self._pieces = []
        self.release()
        file, self._file = self._file, None
        if file is not None:
            file.close()
