"""The entry: from one HTTP request to one Exchange, and from its Reply back to the wire.

This is the one place that turns exceptions into S3 errors. Before the status line every failure
becomes an error document; after it the connection is cut, so that a client never takes wrong or
short bytes for a whole reply. Paths below ``/_bleepstore/`` belong to the rest of the server
(health, admin, schemas), unless the host itself names a bucket.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

from bleepstore.errors import S3Error
from bleepstore.exchange import BodyStream, Exchange, Reply, Services
from bleepstore.http.address import Addressing
from bleepstore.http.body import RequestBody
from bleepstore.http.cycle import ClientGone, ReplyBroken, S3Cycle
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
        self._id2_line = f"x-amz-id-2: {self._host_id}\r\n"
        self._proxies = TrustedProxies(server.trusted_proxies)
        self._limit = server.limits.put_bytes

    # --- requests that come straight from the connection ---------------------------------------------

    def work(
        self,
        cycle: S3Cycle,
        raw_path: bytes,
        query: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        client: str,
        scheme: str,
    ) -> Callable[[S3Cycle], Awaitable[None]] | None:
        """What answers an S3 request on its connection; ``None`` for a request that is not S3."""
        if raw_path.startswith(OWN_PATHS) and not self._names_bucket(headers):
            return None

        async def answer(cycle: S3Cycle) -> None:
            request_id, path = self._request_id(), raw_path.decode("latin-1")
            try:
                x = self._exchange(
                    request_id, cycle.method, path, query, headers, client, scheme, cycle.receive
                )
            except S3Error as error:
                reply = self._fault(error, path, request_id)
            else:
                reply = await self._reply_to(x)
            await self._serve(cycle, reply, path, request_id)

        return answer

    def _names_bucket(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        host = next((value for name, value in headers if name == b"host"), b"")
        return self._addressing.names_bucket(host.decode("latin-1"))

    async def _serve(self, cycle: S3Cycle, reply: Reply, path: str, request_id: str) -> None:
        """Write a reply to the connection."""
        try:
            lines = self._lines(reply, request_id)
        except S3Error as error:
            await _close(reply)
            reply = self._fault(error, path, request_id)
            lines = self._lines(reply, request_id)
        body = reply.body
        try:
            length = _length(cycle.method, reply)
            if isinstance(body, bytes):
                await cycle.reply(reply.status, lines, length, body)
                return
            cycle.begin(reply.status, lines, length)
            if not cycle.bodiless:
                await _stream(body, reply.length, cycle.piece, cycle.end)
            else:
                await cycle.end()
        except ClientGone:
            raise
        except Exception:
            log.exception("the reply to request %s broke off", request_id)
            raise ReplyBroken from None
        finally:
            await _close(reply)

    def _lines(self, reply: Reply, request_id: str) -> bytes:
        """The header lines of a reply. Raises S3Error InvalidArgument for what no header can hold."""
        headers = reply.headers
        # One look at all values: what is printable cannot split the reply.
        if headers and not "".join(headers.values()).isprintable():
            _check_values(headers)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        text = f"x-amz-request-id: {request_id}\r\n{self._id2_line}{''.join(lines)}"
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            raise _foreign() from None

    # --- requests of ASGI -----------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        raw_path: bytes = scope["raw_path"]
        if raw_path.startswith(OWN_PATHS) and not self._names_bucket(scope["headers"]):
            await self._other(scope, receive, send)
            return
        request_id, path = self._request_id(), raw_path.decode("latin-1")
        client = scope.get("client")
        method: str = scope["method"]
        try:
            x = self._exchange(
                request_id,
                method,
                path,
                scope["query_string"],
                scope["headers"],
                client[0] if client else "",
                scope["scheme"],
                receive,
            )
        except S3Error as error:
            reply = self._fault(error, path, request_id)
        else:
            reply = await self._reply_to(x)
        try:
            headers = self._headers(method, reply, request_id)
        except S3Error as error:
            await _close(reply)
            reply = self._fault(error, path, request_id)
            headers = self._headers(method, reply, request_id)
        await self._write(method, reply, headers, send, request_id)

    def _headers(self, method: str, reply: Reply, request_id: str) -> list[tuple[bytes, bytes]]:
        """The headers of a reply. Raises S3Error InvalidArgument for what no header can hold."""
        headers = [(b"x-amz-request-id", request_id.encode()), (b"x-amz-id-2", self._host_id.encode())]
        _check_values(reply.headers)
        try:
            headers += [(n.encode("latin-1"), v.encode("latin-1")) for n, v in reply.headers.items()]
        except UnicodeEncodeError:
            raise _foreign() from None
        length = _length(method, reply)
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        return headers

    async def _write(
        self, method: str, reply: Reply, headers: list[tuple[bytes, bytes]], send: Send, request_id: str
    ) -> None:
        body = reply.body

        async def piece(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async def end(data: bytes = b"") -> None:
            await send({"type": "http.response.body", "body": data})

        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            if method == "HEAD" or reply.status in (204, 304):
                await end()
            elif isinstance(body, bytes):
                await end(body)
            else:
                await _stream(body, reply.length, piece, end)
        except ClientGone:
            raise
        except Exception:
            log.exception("the reply to request %s broke off", request_id)
            raise ReplyBroken from None
        finally:
            await _close(reply)

    # --- both -----------------------------------------------------------------------------------------

    def _exchange(
        self,
        request_id: str,
        method: str,
        raw_path: str,
        query: bytes,
        pairs: Sequence[tuple[bytes, bytes]],
        client: str,
        scheme: str,
        receive: Receive,
    ) -> Exchange:
        x = Exchange()
        x.services = self._services
        x.request_id = request_id
        x.host_id = self._host_id
        x.now = self._services.clock()
        headers = decode_headers(pairs)
        if self._proxies:
            client, scheme = self._proxies.origin(client, scheme, headers)
        x.client, x.scheme = client, scheme
        x.method = method
        x.headers = headers
        x.host = headers.get("host", "")
        x.raw_path = raw_path
        x.raw_query = raw_query = query.decode("latin-1")
        x.query = parse_query(raw_query)
        x.body = RequestBody(receive, method, headers, self._limit)
        x.bucket_name = x.key = None
        x.bucket = x.object = x.upload = x.source = None
        return x

    async def _reply_to(self, x: Exchange) -> Reply:
        try:
            return await self._answer(x)
        except S3Error as error:
            return self._fault(error, x.raw_path, x.request_id)
        except ClientGone:
            raise
        except Exception:
            log.exception("%s %s failed, request %s", x.method, x.raw_path, x.request_id)
            return self._fault(S3Error("InternalError"), x.raw_path, x.request_id)

    def _fault(self, error: S3Error, raw_path: str, request_id: str) -> Reply:
        return error_reply(error, raw_path, request_id, self._host_id)


def _length(method: str, reply: Reply) -> int | None:
    """The Content-Length of a reply; ``None`` where it has none."""
    if reply.status in (204, 304):
        return None
    if reply.length is None and isinstance(reply.body, bytes):
        # A HEAD has no document: its length would be that of a body nobody sees.
        return None if method == "HEAD" and reply.status >= 400 else len(reply.body)
    return reply.length


def _foreign() -> S3Error:
    return S3Error("InvalidArgument", "Header value cannot be represented using ISO-8859-1.")


def _check_values(headers: Mapping[str, str]) -> None:
    for value in headers.values():
        if "\n" in value or "\r" in value or "\0" in value:
            raise S3Error("InvalidArgument", "A header value must not have control characters.")


async def _stream(
    stream: BodyStream,
    length: int | None,
    piece: Callable[[bytes], Awaitable[None]],
    end: Callable[[bytes], Awaitable[None]],
) -> None:
    """Send the pieces. The one that completes ``length`` waits until the stream has ended in order."""
    held = b""
    sent = 0
    async for data in stream:
        if held:
            await piece(held)
            held = b""
        sent += len(data)
        if length is not None and sent >= length:
            held = data
        elif data:
            await piece(data)
    await end(held)


async def _close(reply: Reply) -> None:
    if not isinstance(reply.body, bytes):
        await reply.body.aclose()
