"""Errors of the operating system as the contract's faults."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from bleepstore.storage import BackendFailed, BlobMissing, OutOfSpace

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def faults(blob: str) -> Iterator[None]:
    """Raise what a file operation for ``blob`` raises as a StorageFault, with the cause chained."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing(blob) from error
    except OSError as error:
        if error.errno in _FULL:
            raise OutOfSpace(f"{blob}: {error.strerror}") from error
        raise BackendFailed(f"{blob}: {error.strerror or error}") from error
