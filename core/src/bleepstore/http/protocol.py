"""The connection: HTTP/1.1 as uvicorn's httptools protocol reads it, with bounds and S3 errors.

Stock uvicorn buffers a header of any size, answers ``text/plain`` to what it cannot parse, and has
no time limit for a request under way. Here everything has a bound, and every answer is an S3 error
document. What cannot become a request at all (a *refusal*) runs as a request/response pair like
any other, so that it keeps its place behind pipelined requests.

Where the class has an ``entry``, S3 requests go straight to it, and everything else to the ASGI
application, as all requests do without one.

A connection is idle, in a header, in a body, or *lingering*: after an early answer the rest of
what the client sends is thrown away for a bounded time, because closing at once would reset the
connection before the client has read the answer. One timer per connection watches all of these.
Authority: RFC 9112.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from bleepstore.errors import S3Error
from bleepstore.http.address import absolute_form
from bleepstore.http.cycle import S3Cycle
from bleepstore.http.entry import S3Entry
from bleepstore.http.faults import error_document
from bleepstore.http.identifiers import host_id, new_request_id
from bleepstore.settings import Settings

Work: TypeAlias = Callable[[S3Cycle], Awaitable[None]]
"""What answers a request."""

HEADER_COUNT = 256
"""The most headers of one request."""
PIPELINE = 32
"""The most requests that wait behind one another on a connection."""
BODY_BUFFER = 512 * 1024
"""Received bytes of a body that wait for the application before reading pauses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a connection waits, in seconds."""

    header: float = 30.0
    """From the first byte of a request to the end of its headers."""
    body: float = 60.0
    """Without a byte of the body that the application waits for."""
    reply: float = 300.0
    """Without the client reading a byte of the reply."""
    linger: float = 30.0
    """For a client to finish sending what nobody reads any more."""
    linger_idle: float = 5.0
    """The same, without a byte."""
    goodbye: float = 1.0
    """For an idle client of TLS to say goodbye too, when the server ends."""
    look: float = 5.0
    """Between two looks at the clock."""


class S3Protocol(HttpToolsProtocol):
    """One connection. Made by the class that :func:`s3_protocol` returns."""

    header_bytes = 32 * 1024
    max_connections = 10_000
    patience = Patience()
    entry: S3Entry | None = None
    """Who answers S3 requests without ASGI in between."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = get_local_addr(transport)
        self.client = get_remote_addr(transport)
        self.tls = is_ssl(transport)
        self.scheme = "https" if self.tls else "http"
        self.in_header = False
        self.refused = False
        self.lingering = False
        self.resuming = False
        self.unseen = 0
        """Bytes since the last progress (headers complete, a piece of a body, its end), at least."""
        self.span = 0
        """The same at most: what came since the start of the read with the last progress."""
        self.running: S3Cycle | None = None
        self.waiting: deque[tuple[S3Cycle, Work]] = deque()
        """Requests behind the one that runs, in order."""
        now = self.loop.time()
        self.since = now
        """When the present state (idle, header, lingering) began."""
        self.heard = now
        """When the last byte came."""
        self.unread = 0
        self.unread_since = now
        self.timer = self.loop.call_later(self.patience.look, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over: whoever waits for it is told."""
        self.connections.discard(self)
        self.timer.cancel()
        for cycle in (self.running, *(queued for queued, _ in self.waiting)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.wake()
        self.waiting.clear()
        self.flow.resume_writing()
        self.parser = None  # type: ignore[assignment]  # as uvicorn: it refers back to us
        if exc is None:
            self.transport.close()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client sends nothing more. It may still read the replies it asked for."""
        if self.tls or self.lingering or self.running is None or self.running.response_complete:
            return None
        last: Any = self.cycle
        last.keep_alive = False
        last.half_closed = True
        last.wake()
        return True

    def shutdown(self) -> None:
        """The server ends: close now when idle, else after the reply."""
        super().shutdown()
        if self.tls and self.transport.is_closing():
            # The transport waits half a minute for the client's close_notify, and who keeps an idle
            # connection does not look at it. RFC 8446 section 6.1 asks nobody to wait.
            self.loop.call_later(self.patience.goodbye, self.transport.abort)

    # --- bytes ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what came, or throw it away when the connection is refused or lingering."""
        self.heard = self.loop.time()
        if self.refused or self.lingering:
            return
        size = len(data)
        self.unseen += size
        self.span += size
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(self._what_is_wrong(error))
            return
        if not self.unseen:
            self.span = size
        elif self.unseen > self.header_bytes:
            if self.in_header:
                self._refuse(self._too_large())
            elif self.cycle is not None and self.cycle.more_body:
                self._refuse(S3Error("InvalidRequest", "The chunks of the body have no end."))

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._ignore_upgrade()
                continue
            return

    def _ignore_upgrade(self) -> None:
        """Upgrades are ignored, as RFC 9110 section 7.8 allows: what follows is still HTTP.

        The parser has given up on the request's body, so a new one is told about it.
        """
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        left = self.cycle.body_left  # type: ignore[attr-defined]
        if left == 0:
            return
        framing = b"Transfer-Encoding: chunked" if left is None else b"Content-Length: %d" % left
        self.resuming = True
        self.parser.feed_data(b"PUT / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        self.resuming = False

    def _what_is_wrong(self, error: httptools.HttpParserError) -> S3Error:
        cause = error.__context__
        if isinstance(cause, S3Error):
            return cause
        if isinstance(error, httptools.HttpParserCallbackError):
            self.logger.error("Exception while reading a request", exc_info=cause)
            return S3Error("InternalError")
        if isinstance(error, httptools.HttpParserInvalidURLError):
            return S3Error("InvalidURI")
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            return S3Error("MethodNotAllowed")
        return S3Error("InvalidRequest", f"The request is not HTTP/1.1: {error}.")

    # --- what the parser found --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.resuming:
            return
        self.in_header = True
        self.since = self.heard
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        if self.resuming:
            return
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a chunked body: those are ignored, they cannot add headers."""
        if self.in_header:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The request is known: start it, or queue it behind the one before."""
        if self.resuming:
            return
        if self.span > self.header_bytes or len(self.headers) > HEADER_COUNT:
            self._check_size()
        length = self._read_framing()
        self.in_header = False
        self.unseen = 0
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        if version not in ("1.1", "1.0"):
            raise S3Error("InvalidRequest", "The request is not HTTP/1.1.")
        if method == "CONNECT":
            raise S3Error("MethodNotAllowed")
        target = self.url.partition(b"#")[0]
        if target[:1] != b"/":
            authority, target = absolute_form(target)
            # The host of the target counts, whatever Host says (RFC 9112 section 3.2.2).
            self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
            self.headers.append((b"host", authority))
        raw_path, _, query = target.partition(b"?")
        if not raw_path.isascii():
            raise S3Error("InvalidURI")
        if len(self.connections) > self.max_connections or len(self.waiting) >= PIPELINE:
            raise S3Error("ServiceUnavailable")
        cycle = S3Cycle(
            self,
            method,
            length=length,
            keep_alive=version == "1.1" and self.parser.should_keep_alive(),
            expects=self.expect_100_continue,
            http10=version == "1.0",
        )
        work: Work | None = None
        if self.entry is not None:
            client = self.client[0] if self.client else ""
            work = self.entry.work(cycle, raw_path, query, self.headers, client, str(self.scheme))
        self._enqueue(cycle, work or self._asgi(version, method, raw_path, query))

    def _asgi(self, version: str, method: str, raw_path: bytes, query: bytes) -> Work:
        """The work of having the ASGI application answer."""
        path = raw_path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": method,
            "raw_path": raw_path,
            "query_string": query,
            "path": urllib.parse.unquote(path) if "%" in path else path,
        }
        app: Any = self.app

        async def answer(cycle: S3Cycle) -> None:
            await app(scope, cycle.receive, cycle.send)

        return answer

    def _check_size(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.header_bytes or len(self.headers) > HEADER_COUNT:
            raise self._too_large()

    def _too_large(self) -> S3Error:
        return S3Error("RequestHeaderSectionTooLarge", MaxSizeAllowed=str(self.header_bytes))

    def _read_framing(self) -> int | None:
        """What frames the message; the body's length, ``None`` when chunked."""
        headers = dict(self.headers)
        if b"host" not in headers and self.parser.get_http_version() == "1.1":
            raise S3Error("InvalidRequest", "A request must have a Host header.")
        if len(headers) < len(self.headers):
            # Of two, another server on the way may believe the other one.
            names = [name for name, _ in self.headers]
            for name, title in ((b"host", "Host"), (b"transfer-encoding", "Transfer-Encoding")):
                if names.count(name) > 1:
                    raise S3Error("InvalidRequest", f"A request must not have two {title} headers.")
        expect = headers.get(b"expect")
        if expect is not None and self.parser.get_http_version() != "1.0":
            # Clients of 1.0 do not know an interim answer (RFC 9110 section 10.1.1).
            self.expect_100_continue = expect.strip().lower() == b"100-continue"
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            if coding.strip().lower() != b"chunked":
                raise S3Error("NotImplemented", Header="Transfer-Encoding")
            return None
        # The parser has checked that the length is a number, and that it stands alone.
        return int(headers.get(b"content-length", 0))

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.unseen = 0
        cycle: Any = self.cycle
        if cycle.body_left is not None:
            cycle.body_left -= len(body)
        if cycle.response_complete:
            return
        cycle.pieces.append(body)
        cycle.buffered += len(body)
        if cycle.buffered > BODY_BUFFER:
            self.flow.pause_reading()
        cycle.wake()

    def on_message_complete(self) -> None:
        """The request is over."""
        self.unseen = 0
        if self.parser.should_upgrade() and self.cycle.body_left != 0:  # type: ignore[attr-defined]
            return  # its body still comes, see _ignore_upgrade
        cycle: Any = self.cycle
        cycle.more_body = False
        cycle.wake()
        if cycle.response_complete:
            self.since = self.heard

    # --- order --------------------------------------------------------------------------------------

    def _enqueue(self, cycle: S3Cycle, work: Work) -> None:
        self.cycle = cycle  # type: ignore[assignment]
        if self.running is None or self.running.response_complete:
            self._run(cycle, work)
            return
        self.flow.pause_reading()
        self.waiting.append((cycle, work))

    def _run(self, cycle: S3Cycle, work: Work) -> None:
        self.running = cycle
        task = self.loop.create_task(cycle.run(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """A reply is written: close, linger, go on with a queued request, or wait for the next."""
        self.server_state.total_requests += 1
        cycle = self.running
        if cycle is None or self.transport.is_closing():
            return
        cycle.pieces.clear()
        if not cycle.keep_alive:
            if cycle.lingers or self.refused:
                self._linger()
            else:
                self.since = self.loop.time()
                self.transport.close()
            return
        self.flow.resume_reading()
        self.since = self.loop.time()
        if self.waiting:
            self._run(*self.waiting.popleft())

    def _refuse(self, error: S3Error) -> None:
        """What came cannot be understood: answer in turn, and read nothing more."""
        cycle: Any = self.cycle
        if not self.in_header and cycle is not None and cycle.more_body and cycle.message is self.headers:
            self.refused = True
            if cycle.response_started:
                self.transport.abort()
            else:
                cycle.fail(error)
            return
        self.refused = True
        if self.headers is None:
            self.on_message_begin()
        refusal = S3Cycle(self, self._method(), length=None, keep_alive=False)
        self._enqueue(refusal, _refusal(error, self.url))

    def _method(self) -> str:
        try:
            return str(self.parser.get_method().decode("ascii"))
        except Exception:  # the request line itself was not understood
            return "GET"

    def _linger(self) -> None:
        self.lingering = True
        self.since = self.loop.time()
        self.waiting.clear()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # --- time ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look at the clock: has the client kept us waiting for too long?"""
        self.timer = self.loop.call_later(self.patience.look, self._look)
        now = self.loop.time()
        if self._stuck(now):
            self.transport.abort()
        elif self.lingering:
            idle = now - self.heard > self.patience.linger_idle
            if idle or now - self.since > self.patience.linger:
                self.transport.abort()
        elif self.transport.is_closing():
            if self.tls and self.unread == 0 and now - self.since > self.patience.linger_idle:
                self.transport.abort()  # it waits for the client's close_notify, see shutdown
        elif self.in_header:
            if now - self.since > self.patience.header and not self.flow.read_paused and not self.refused:
                self._refuse(S3Error("RequestTimeout"))
        elif self.running is None or (self.running.response_complete and not self.running.more_body):
            if now - self.since > self.timeout_keep_alive:
                self.transport.close()
        else:
            self._look_at_body(self.running, now)

    def _stuck(self, now: float) -> bool:
        """Whether the client has read nothing of what waits for it."""
        size = self.transport.get_write_buffer_size()
        if size == 0 or size != self.unread:
            self.unread, self.unread_since = size, now
        return size > 0 and now - self.unread_since > self.patience.reply

    def _look_at_body(self, cycle: S3Cycle, now: float) -> None:
        waiting = cycle.more_body and not cycle.pieces and not self.flow.read_paused and not self.refused
        if not waiting or cycle.waiting_for_100_continue or now - self.heard <= self.patience.body:
            return
        self.refused = True
        if cycle.response_started:
            self.transport.abort()
        else:
            cycle.fail(S3Error("RequestTimeout"))


def _refusal(error: S3Error, target: bytes) -> Work:
    """The work of answering what could not become a request."""
    # Of a target that was not understood nothing is known but that this server was asked.
    resource = target.partition(b"?")[0][:1024].decode("latin-1") or "/"

    async def answer(cycle: S3Cycle) -> None:
        request_id, host = new_request_id(), host_id()
        document = error_document(error, resource, request_id, host)
        lines = f"x-amz-request-id: {request_id}\r\nx-amz-id-2: {host}\r\ncontent-type: application/xml\r\n"
        await cycle.reply(error.status, lines.encode(), len(document), document)

    return answer


def s3_protocol(settings: Settings, patience: Patience | None = None) -> type[S3Protocol]:
    """The protocol class of a server, for uvicorn's ``http=``; its ``entry`` may be set later."""
    limits = settings.server.limits
    attributes: dict[str, Any] = {
        "header_bytes": limits.header_bytes,
        "max_connections": limits.connections,
        "patience": patience or S3Protocol.patience,
    }
    return type("S3Protocol", (S3Protocol,), attributes)


def server_options(settings: Settings, patience: Patience | None = None) -> dict[str, Any]:
    """The arguments for ``uvicorn.Config`` that belong to this protocol.

    Date and Server are uvicorn's default headers, so that every reply has them, refusals too.
    """
    return {
        "http": s3_protocol(settings, patience),
        "ws": "none",
        "timeout_keep_alive": settings.server.keep_alive,
        "date_header": True,
        "server_header": False,
        "headers": [("Server", "BleepStore")],
        "proxy_headers": False,
        "access_log": False,
    }
