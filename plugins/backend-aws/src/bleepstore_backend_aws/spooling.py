"""Bytes that wait until their call can be made in one go: in memory while they are few.

A part of an upload may have 5 GiB, and its length and digest must be known before it is sent. Up to
:data:`SMALL` bytes stay in memory, while all spools of the process together have less than their
budget; then they go to a temporary file without a name.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import IO

from bleepstore_backend_aws.calls import MIB

SMALL = 8 * MIB
"""Bytes of one spool in memory."""


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

    def body(self) -> tuple[bytes | IO[bytes], bytes]:
        """All bytes and their MD5. Once or more, when all of them are there."""
        if self._file is not None:
            self._file.seek(0)
            return self._file, self._md5.digest()
        if self._digest is None:
            if len(self._pieces) != 1:
                self._pieces = [b"".join(self._pieces)]
            self._digest = hashlib.md5(self._pieces[0], usedforsecurity=False).digest()
        return self._pieces[0], self._digest

    def close(self) -> None:
        """Let all bytes go. Idempotent; on the event loop."""
        self._pieces = []
        self.release()
        file, self._file = self._file, None
        if file is not None:
            file.close()
