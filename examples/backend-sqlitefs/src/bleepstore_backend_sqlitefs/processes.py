"""Which processes live: each holds a lock on a file of its own beside the database.

A lock goes with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path


class Processes:
    """The locks."""

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(f"{database.name}.processes")
        self.name = secrets.token_hex(8)
        """Ours."""
        self._lock: int | None = None

    def enter(self) -> None:
        """Live."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._folder / self.name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self) -> None:
        """Live no more. The file stays while its name is in the database: see :meth:`bury`."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_dead(self, name: str) -> bool:
        """Whether nobody holds the lock of that name."""
        if name == self.name:
            return False
        try:
            file = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    def bury(self) -> None:
        """Remove the files of dead processes."""
        for file in self._folder.iterdir():
            if self.is_dead(file.name):
                file.unlink(missing_ok=True)
