"""Who may use a data directory, and which process writes.

``metadata.db-server`` is locked by every process of one server: the first writes its token there,
others of the same server (workers inherit the token) share the lock, a second server is refused.
``metadata.db-writer`` is locked by the process that has the writer role.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

from bleepstore.metadata import MetadataFailed

TOKEN = "BLEEPSTORE_SERVER_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable by which the workers of one server know each other."""


def server_token() -> str:
    """The token of this process's server; a new one where none was inherited."""
    return os.environ.get(TOKEN) or secrets.token_hex(16)


def admit(path: Path, token: str) -> IO[bytes]:
    """Lock the data directory for this server; the file must stay open.

    Raises :class:`MetadataFailed` when another server has it.
    """
    file = _open(path)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(f"{token} {os.getpid()}\n".encode())
    # From exclusive to shared is not atomic: whoever came in between has left its own token.
    fcntl.flock(file, fcntl.LOCK_SH)
    file.seek(0)
    owner, _, pid = file.read().decode(errors="replace").partition(" ")
    if owner != token:
        file.close()
        raise MetadataFailed(
            f"{path.parent}: is already in use by another BleepStore server (pid {pid.strip()})"
        )
    return file


def take_role(path: Path) -> IO[bytes] | None:
    """The lock of the writer role, or ``None`` while another process has it."""
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def release(file: IO[bytes] | None) -> None:
    """Let a lock go. Idempotent."""
    if file is not None:
        with contextlib.suppress(OSError):
            file.close()


def _open(path: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
    except OSError as error:
        raise MetadataFailed(f"{path.parent}: {error.strerror}") from error
