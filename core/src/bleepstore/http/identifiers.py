"""The ids of a reply: ``x-amz-request-id`` and ``x-amz-id-2``."""

from __future__ import annotations

import base64
import hashlib
import os
import socket


def new_request_id() -> str:
    """16 upper-case hex digits, random."""
    return os.urandom(8).hex().upper()


def host_id() -> str:
    """The opaque name of this machine that ``x-amz-id-2`` and ``<HostId>`` carry."""
    digest = hashlib.sha256(b"bleepstore host " + socket.gethostname().encode()).digest()
    return base64.b64encode(digest).decode()
