"""A server, a signer for its first account, and one bucket for each test."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_http import Connection, RawReply, request_bytes
from server_process import FIRST, ServerProcess
from sigv4_by_hand import UNSIGNED, Signed, Signer


class Wire:
    """Signed requests to one server, with nothing added or corrected."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.host = f"127.0.0.1:{server.port}"
        self.signer = Signer(FIRST.access_key, FIRST.secret_key)

    def connect(self) -> Connection:
        return Connection(self.server.port)

    def signed(
        self, method: str, target: str, body: bytes | None = None, payload: str | None = None, **headers: str
    ) -> Signed:
        """Signed headers; a body gives Content-Length, ``_`` in names stands for ``-``."""
        given = {"Host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None and not {"content-length", "transfer-encoding"} & {n.lower() for n in given}:
            given["Content-Length"] = str(len(body))
        if payload is None:
            payload = hashlib.sha256(body or b"").hexdigest()
        return self.signer.sign(method, target, given, payload)

    def ask(
        self, method: str, target: str, body: bytes | None = None, payload: str | None = None, **headers: str
    ) -> RawReply:
        """One signed request on a connection of its own."""
        signed = self.signed(method, target, body, payload, **headers)
        return self.raw(request_bytes(method, target, signed.headers, body or b""), head=method == "HEAD")

    def raw(self, data: bytes, *, head: bool = False) -> RawReply:
        """The reply to these bytes."""
        with self.connect() as connection:
            connection.send(data)
            return connection.reply(head=head)

    def read(self, target: str) -> bytes | None:
        """The body of an object, None when there is none."""
        reply = self.ask("GET", target, payload=UNSIGNED)
        assert reply.status in (200, 404), reply
        return reply.body if reply.status == 200 else None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(Path(tmp_path_factory.mktemp("wire")))
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()
    # Whatever came in, nothing took the server by surprise.
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    """The server, which must still answer after the test."""
    wire = Wire(server)
    yield wire
    assert wire.ask("GET", "/").status == 200


@pytest.fixture
def bucket(wire: Wire) -> str:
    """The path of a new bucket, with a slash before it and none after."""
    path = f"/wire-{uuid.uuid4().hex[:20]}"
    assert wire.ask("PUT", path, b"").status == 200
    return path
