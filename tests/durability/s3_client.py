"""One connection that asks a server over HTTP, and knows when it cannot know what became of a request."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass

from server_process import FIRST
from sigv4_by_hand import Signer

PATIENCE = 30.0
"""Seconds without a byte after which a reply is called a hang."""
_CODE = re.compile(rb"<Error><Code>(\w+)</Code>")


class Lost(Exception):
    """No whole reply came: what was asked for has happened or not."""


class NotSent(Lost):
    """Nobody listens: it has not happened."""


@dataclass(frozen=True)
class Answer:
    """One whole reply; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the error that it is, also of one after a status of 200; or nothing."""
        found = _CODE.search(self.body[:1024])
        return found[1].decode() if found and self.headers.get("content-type") == "application/xml" else ""

    @property
    def etag(self) -> str:
        """Without quotes."""
        return self.headers["etag"].strip('"')

    @property
    def request_id(self) -> str:
        """By which the server named the request."""
        return self.headers["x-amz-request-id"]


class S3Client:
    """Signs and asks, one request at a time; a connection that was lost is made anew by the next."""

    def __init__(self, port: int) -> None:
        self._host = f"127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._signer = Signer(FIRST.access_key, FIRST.secret_key)

    def __enter__(self) -> S3Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Connect where there is no connection. Raises NotSent."""
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except OSError as error:
                raise NotSent(repr(error)) from error

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The reply. Raises Lost."""
        self.connect()
        signed = self._signer.sign(method, target, {"Host": self._host, **(headers or {})}).headers
        try:
            self._connection.request(method, target, body, signed)
            reply = self._connection.getresponse()
            content = reply.read()
        except TimeoutError:
            self.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost(f"{method} {target}: {error!r}") from error
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, content)

    @property
    def address(self) -> object:
        """This end of the connection; another after it was made anew, nothing while there is none."""
        return self._connection.sock and self._connection.sock.getsockname()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
