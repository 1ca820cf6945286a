"""The entry: from one HTTP request to one Exchange, and from its Reply back to the wire.

This is the one place that turns exceptions into S3 errors. Before the status line every failure
becomes an error document; after it the connection is cut, so that a client never takes wrong or
short bytes for a whole reply. Paths below ``/_bleepstore/`` belong to the rest of the server
(health, admin, schemas), unless the host itself names a bucket.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from bleepstore.errors import S3Error
from bleepstore.exchange import BodyStream, Exchange, Reply, Services
from bleepstore.http.address import Addressing
from bleepstore.http.body import RequestBody
from bleepstore.http.cycle import ClientGone, ReplyBroken
from bleepstore.http.faults import error_reply
from bleepstore.http.forwarded import TrustedProxies
from bleepstore.http.headers import decode_headers, parse_query
from bleepstore.http.identifiers import host_id as make_host_id
from bleepstore.http.identifiers import new_request_id

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = Callable[[Exchange], Awaitable[Reply]]

OWN_PATHS = b"/_bleepstore/"

log = logging.getLogger("bleepstore.http")


class S3Entry:
    """The ASGI application of the server."""

    def __init__(
        self,
        answer: Answer,
        services: Services,
        other: ASGIApp,
        *,
        addressing: Addressing | None = None,
        request_id: Callable[[], str] = new_request_id,
        host_id: str | None = None,
    ) -> None:
        """``answer`` is the pipeline; ``other`` takes lifespan and ``/_bleepstore/...``."""
        server = services.settings.server
        self._answer = answer
        self._services = services
        self._other = other
        self._addressing = addressing or Addressing(server.domains)
        self._request_id = request_id
        self._host_id = host_id or make_host_id()
        self._id2 = self._host_id.encode()
        self._proxies = TrustedProxies(server.trusted_proxies)
        self._limit = server.limits.put_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        request_id = self._request_id()
        raw_path: bytes = scope["raw_path"]
        try:
            x = self._exchange(scope, receive, request_id)
            if raw_path.startswith(OWN_PATHS) and not self._addressing.names_bucket(x.host):
                await self._other(scope, receive, send)
                return
            reply = await self._answer(x)
        except S3Error as error:
            reply = self._fault(error, raw_path, request_id)
        except ClientGone:
            raise
        except Exception:
            log.exception("%s %s failed, request %s", scope["method"], raw_path.decode("latin-1"), request_id)
            reply = self._fault(S3Error("InternalError"), raw_path, request_id)
        try:
            headers = self._headers(scope["method"], reply, request_id)
        except S3Error as error:
            await _close(reply)
            reply = self._fault(error, raw_path, request_id)
            headers = self._headers(scope["method"], reply, request_id)
        await self._write(scope["method"], reply, headers, send, request_id)

    def _fault(self, error: S3Error, raw_path: bytes, request_id: str) -> Reply:
        return error_reply(error, raw_path.decode("latin-1"), request_id, self._host_id)

    def _exchange(self, scope: Scope, receive: Receive, request_id: str) -> Exchange:
        x = Exchange()
        x.services = self._services
        x.request_id = request_id
        x.host_id = self._host_id
        x.now = self._services.clock()
        headers = decode_headers(scope["headers"])
        client = scope.get("client")
        x.client = client[0] if client else ""
        x.scheme = scope["scheme"]
        if self._proxies:
            x.client, x.scheme = self._proxies.origin(x.client, x.scheme, headers)
        x.method = method = scope["method"]
        x.headers = headers
        x.host = headers.get("host", "")
        x.raw_path = scope["raw_path"].decode("latin-1")
        x.raw_query = query = scope["query_string"].decode("latin-1")
        x.query = parse_query(query)
        x.body = RequestBody(receive, method, headers, self._limit)
        x.bucket_name = x.key = None
        x.bucket = x.object = x.upload = x.source = None
        return x

    def _headers(self, method: str, reply: Reply, request_id: str) -> list[tuple[bytes, bytes]]:
        """The header lines. Raises S3Error InvalidArgument for what no header can hold."""
        headers = [(b"x-amz-request-id", request_id.encode()), (b"x-amz-id-2", self._id2)]
        if reply.headers:
            # One look at all values: what is printable cannot split the reply.
            if not "".join(reply.headers.values()).isprintable():
                _check_values(reply.headers)
            try:
                headers += [(n.encode("latin-1"), v.encode("latin-1")) for n, v in reply.headers.items()]
            except UnicodeEncodeError:
                raise S3Error(
                    "InvalidArgument", "Header value cannot be represented using ISO-8859-1."
                ) from None
        length = reply.length
        if length is None and isinstance(reply.body, bytes):
            # A HEAD has no document: its length would be that of a body nobody sees.
            length = None if method == "HEAD" and reply.status >= 400 else len(reply.body)
        if length is not None and reply.status not in (204, 304):
            headers.append((b"content-length", str(length).encode()))
        return headers

    async def _write(
        self, method: str, reply: Reply, headers: list[tuple[bytes, bytes]], send: Send, request_id: str
    ) -> None:
        body = reply.body
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            if method == "HEAD" or reply.status in (204, 304):
                await send({"type": "http.response.body", "body": b""})
            elif isinstance(body, bytes):
                await send({"type": "http.response.body", "body": body})
            else:
                await _stream(body, reply.length, send)
        except ClientGone:
            raise
        except Exception:
            log.exception("the reply to request %s broke off", request_id)
            raise ReplyBroken from None
        finally:
            await _close(reply)


def _check_values(headers: Mapping[str, str]) -> None:
    for value in headers.values():
        if "\n" in value or "\r" in value or "\0" in value:
            raise S3Error("InvalidArgument", "A header value must not have control characters.")


async def _stream(stream: BodyStream, length: int | None, send: Send) -> None:
    """Send the pieces. The one that completes ``length`` waits until the stream has ended in order."""
    held = b""
    sent = 0
    async for piece in stream:
        if held:
            await send({"type": "http.response.body", "body": held, "more_body": True})
            held = b""
        sent += len(piece)
        if length is not None and sent >= length:
            held = piece
        elif piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": held})


async def _close(reply: Reply) -> None:
    if not isinstance(reply.body, bytes):
        await reply.body.aclose()
