"""What the tests of this kit say again and again, and one plain HTTP request."""

from __future__ import annotations

import http.client
import os
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

MIB = 1024 * 1024
PART = 5 * MIB
"""The smallest size of a part that is not the last."""
NOT_IMPLEMENTED = 501


class Missing(AssertionError):
    """The server says itself that it has not what was asked of it: no wrong answer, but none."""


@contextmanager
def refused(code: str, status: int | None = None) -> Iterator[dict[str, Any]]:
    """The call inside must fail with this error; its parsed reply fills the dict that is yielded."""
    __tracebackhide__ = True
    reply: dict[str, Any] = {}
    try:
        yield reply
    except ClientError as error:
        reply.update(error.response)
        found, number = reply["Error"]["Code"], reply["ResponseMetadata"]["HTTPStatusCode"]
        expected = code if status is None else f"{code} {status}"
        if found != code or number != (status or number):
            if says_missing(error):
                raise Missing(missing(error)) from error
            message = f"{error.operation_name} answered {found} {number}, and not {expected}"
            raise AssertionError(message) from error
    else:
        raise AssertionError(f"what had to answer {code} succeeded")


def says_missing(error: ClientError) -> bool:
    """Whether a server says with this error that it has no such operation or feature."""
    response = error.response
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = response.get("Error", {}).get("Code")
    return bool(code == "NotImplemented" or status == NOT_IMPLEMENTED)


def missing(error: ClientError) -> str:
    """That, as the reason of a test that is skipped."""
    return f"{error.operation_name} is not implemented"


@dataclass
class Answer:
    """The reply to a plain HTTP request; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        """The ``Code`` of an error document; ``None`` where there is no such document."""
        try:
            return ET.fromstring(self.body).findtext("Code")  # noqa: S314
        except ET.ParseError:
            return None


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """One request with nothing added to it; ``_`` in header names stands for ``-``."""
    return send(url, method, body, {name.replace("_", "-"): value for name, value in headers.items()})


def send(url: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request with exactly these headers besides Host and Content-Length. Raises Missing."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=60, context=context
        )
    target = parts.path + ("?" + parts.query if parts.query else "")
    try:
        connection.request(method, target or "/", body, dict(headers))
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        answer = Answer(reply.status, found, reply.read())
    finally:
        connection.close()
    if answer.status == NOT_IMPLEMENTED:
        raise Missing(f"{method} of this kind is not implemented")
    return answer
