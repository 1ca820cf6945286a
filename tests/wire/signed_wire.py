"""Signed requests to one server, with nothing added or corrected."""

from __future__ import annotations

import hashlib

from raw_http import Connection, RawReply, request_bytes
from server_process import FIRST, Account, ServerProcess
from sigv4_by_hand import UNSIGNED, Signed, Signer


class Wire:
    """What one account asks of one server."""

    def __init__(self, server: ServerProcess, account: Account = FIRST) -> None:
        self.server = server
        self.host = f"127.0.0.1:{server.port}"
        self.signer = Signer(account.access_key, account.secret_key)

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


class Unsigned(Wire):
    """What nobody in particular asks."""

    def signed(
        self, method: str, target: str, body: bytes | None = None, payload: str | None = None, **headers: str
    ) -> Signed:
        """The headers without what signs them."""
        signed = super().signed(method, target, body, payload, **headers)
        for name in ("Authorization", "x-amz-date", "x-amz-content-sha256"):
            del signed.headers[name]
        return signed
