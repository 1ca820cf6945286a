"""Errors of the operating system as the contract's faults."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from bleepstore.storage import BackendFailed, OutOfSpace, StorageFault, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BUSY = frozenset({errno.EMFILE, errno.ENFILE})
"""Too many open files: it passes."""


@contextmanager
def faults(blob: str, *, absent: type[StorageFault] = BackendFailed) -> Iterator[None]:
    """Raise what a file operation for ``blob`` raises as a StorageFault, with the cause chained.

    ``absent`` is what a file that is not there means: for a reader BlobMissing, for a writer a
    folder that somebody took away.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT and absent is not BackendFailed:
            raise absent(blob) from error
        kind = OutOfSpace if error.errno in _FULL else Unavailable if error.errno in _BUSY else BackendFailed
        raise kind(f"{blob}: {error.strerror or error}") from error
