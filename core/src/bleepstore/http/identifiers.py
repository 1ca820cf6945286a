"""Random digits, and the ids of a reply: ``x-amz-request-id`` and ``x-amz-id-2``."""

from __future__ import annotations

import base64
import hashlib
import os
import socket

_DIGITS = 20
_REFILL = 256
_pool: list[str] = []
# What a fork inherits, its parent and its siblings have too.
os.register_at_fork(after_in_child=_pool.clear)


def random_digits() -> str:
    """20 random lower-case hex digits.

    Taken from the system in bulk: a call of its own for each gives up the interpreter's lock, and
    under load it takes ten times as long to get it back.
    """
    try:
        return _pool.pop()
    except IndexError:
        digits = os.urandom(_REFILL * _DIGITS // 2).hex()
        _pool.extend(digits[at : at + _DIGITS] for at in range(_DIGITS, len(digits), _DIGITS))
        return digits[:_DIGITS]


def new_request_id() -> str:
    """16 upper-case hex digits, random."""
    return random_digits()[:16].upper()


def host_id() -> str:
    """The opaque name of this machine that ``x-amz-id-2`` and ``<HostId>`` carry."""
    digest = hashlib.sha256(b"bleepstore host " + socket.gethostname().encode()).digest()
    return base64.b64encode(digest).decode()
