"""HTTP/1.1 over a bare socket: what is sent is sent as it is, and nothing waits for ever."""

from __future__ import annotations

import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PATIENCE = 15.0
"""Seconds without a byte after which a reply is called a hang."""


@dataclass
class RawReply:
    """One reply; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def error(self) -> tuple[int, str]:
        """Status and code, of what must be a complete S3 error document with nothing missing."""
        assert self.headers["content-type"] == "application/xml", self
        root = ET.fromstring(self.body)
        assert root.tag == "Error"
        found = {child.tag: child.text for child in root}
        assert found["Code"], self
        assert found["Message"], self
        assert found["Resource"] is not None, self
        assert found["RequestId"] == self.headers["x-amz-request-id"], self
        assert "date" in self.headers
        return self.status, found["Code"]


class Connection:
    """One connection; replies are read in order."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send; a server that has answered and closed already is no fault."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def send_whole(self, data: bytes) -> None:
        """Send; the server must take all of it."""
        self._socket.sendall(data)

    def finish(self) -> None:
        """Send nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        data = self._socket.recv(1024 * 1024)
        self._buffer += data
        return bool(data)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if not self._more():
                raise EOFError(f"the connection ended in {self._buffer!r}")
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._more():
                raise EOFError(f"the connection ended {size - len(self._buffer)} bytes early")
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def reply(self, *, head: bool = False) -> RawReply:
        """The next reply; ``head`` says that it answers HEAD."""
        line, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, *_ = line.split(" ")
        assert version == "HTTP/1.1", line
        headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in lines)}
        reply = RawReply(int(status), headers, b"")
        if not head and reply.status not in (100, 204, 304):
            reply.body = self._body(headers)
        return reply

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int(self._until(b"\r\n"), 16):
                pieces.append(self._exactly(size))
                assert self._exactly(2) == b"\r\n"
            assert self._exactly(2) == b"\r\n"
            return b"".join(pieces)
        return self._exactly(int(headers["content-length"]))

    def stream(self) -> Iterator[bytes]:
        """The body of the next reply piece by piece; it must be 200 with a Content-Length."""
        head = self._until(b"\r\n\r\n").decode("latin-1").lower()
        assert head.startswith("http/1.1 200 "), head
        left = int(head.partition("\r\ncontent-length: ")[2].partition("\r\n")[0])
        while left:
            if not self._buffer and not self._more():
                raise EOFError(f"the connection ended {left} bytes early")
            piece, self._buffer = self._buffer, b""
            left -= len(piece)
            yield piece

    def closed(self) -> bool:
        """Whether the server closes without another byte."""
        try:
            return self._buffer == b"" and not self._more()
        except ConnectionResetError:
            return True


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire; values that hold surrogates are bytes that are no UTF-8."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body
