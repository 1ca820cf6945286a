"""What the tests of this suite say again and again, and one plain HTTP request."""

from __future__ import annotations

import http.client
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

MIB = 1024 * 1024
PART = 5 * MIB
"""The smallest size of a part that is not the last."""


@contextmanager
def refused(code: str, status: int | None = None) -> Iterator[dict[str, Any]]:
    """The call inside must fail with this error; its parsed reply fills the dict that is yielded."""
    reply: dict[str, Any] = {}
    with pytest.raises(ClientError) as caught:
        yield reply
    reply.update(caught.value.response)
    assert reply["Error"]["Code"] == code, caught.value
    if status is not None:
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == status


@dataclass
class Answer:
    """The reply to a plain HTTP request; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        """The ``Code`` of an error document."""
        return ET.fromstring(self.body).findtext("Code")


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """One request with nothing added to it; ``_`` in header names stands for ``-``."""
    return send(url, method, body, {name.replace("_", "-"): value for name, value in headers.items()})


def send(url: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request with exactly these headers besides Host and Content-Length."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=60)
    target = parts.path + ("?" + parts.query if parts.query else "")
    try:
        connection.request(method, target or "/", body, dict(headers))
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, found, reply.read())
    finally:
        connection.close()
