"""One request and its reply on a connection: what ASGI's ``receive`` and ``send`` do.

Beyond uvicorn's own: a reply to a request whose body is still coming decides whether the
connection can be kept; a client that is gone is an exception, not silence; HTTP/1.0 gets no
chunks; header values are checked at once instead of one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from bleepstore.errors import S3Error

if TYPE_CHECKING:
    from bleepstore.http.protocol import S3Protocol

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

KEEP_BYTES = 64 * 1024
"""A rest of a body up to this size is swallowed after the reply, instead of closing."""


class ClientGone(OSError):
    """The client closed the connection before the reply was over."""


class ReplyBroken(Exception):
    """The reply cannot be finished, and was logged: the connection must end without a clean end."""


class S3Cycle(RequestResponseCycle):
    """A request/response pair of an :class:`~bleepstore.http.protocol.S3Protocol`."""

    def __init__(self, protocol: S3Protocol, *, length: int | None, keep_alive: bool, expects: bool) -> None:
        """``length``: the Content-Length, ``None`` for a chunked body."""
        super().__init__(
            scope=protocol.scope,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=protocol.access_log,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=keep_alive,
            on_response=protocol.on_response_complete,
        )
        self.body_left = length
        self.pieces: list[bytes] = []
        self.buffered = 0
        self.ended = False
        """The end of the body was handed to the application."""
        self.half_closed = False
        """The client sends nothing more, but may still read."""
        self.failure: S3Error | None = None
        """What the protocol found wrong with the body: raised by the next ``receive``."""

    @property
    def lingers(self) -> bool:
        """Whether the client may still be sending, so that closing at once could cost it the reply."""
        return self.more_body and not self.half_closed

    def fail(self, error: S3Error) -> None:
        """The body cannot be read on."""
        self.failure = error
        self.keep_alive = False
        self.message_event.set()

    async def run_asgi(self, app: App) -> None:
        """Run the application; whatever it raises, the connection ends in order or is cut."""
        try:
            await app(self.scope, self.receive, self.send)
            if not self.response_complete and not self.disconnected:
                self.logger.error("The application returned without completing its reply.")
                self.transport.abort()
        except (ClientGone, ReplyBroken):
            self.transport.abort()
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        except Exception:
            self.logger.exception("Exception in the application")
            self.transport.abort()
        finally:
            self.on_response = _nothing

    async def receive(self) -> Any:
        """The next message; the first call answers ``Expect: 100-continue``."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        while True:
            if self.failure is not None:
                raise self.failure
            if self.pieces or not (self.more_body or self.ended):
                body = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
                self.pieces.clear()
                self.buffered = 0
                self.ended = not self.more_body
                return {"type": "http.request", "body": body, "more_body": self.more_body}
            if self.disconnected or self.response_complete or (self.half_closed and self.more_body):
                return {"type": "http.disconnect"}
            if self.more_body:
                self.flow.resume_reading()
            self.message_event.clear()
            await self.message_event.wait()

    async def send(self, message: Any) -> None:
        """Write one message; waits while the client reads slowly. Raises :class:`ClientGone`."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            raise ClientGone
        if not self.response_started:
            self._start(message)
        elif not self.response_complete:
            self._continue(message)
        else:
            raise RuntimeError("a message was sent after the reply was complete")

    def _start(self, message: Message) -> None:
        status: int = message["status"]
        if self.more_body and not self._rest_is_small():
            self.keep_alive = False
        content = [STATUS_LINE[status]]
        lines = 2
        bodiless = self.scope["method"] == "HEAD" or status in (204, 304)
        for name, value in (*self.default_headers, *message.get("headers", ())):
            if name == b"content-length":
                self.chunked_encoding = False
                if not bodiless:
                    self.expected_content_length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
                continue
            elif name == b"transfer-encoding":
                continue
            content += (name, b": ", value, b"\r\n")
            lines += 1
        if self.chunked_encoding is None and not bodiless:
            if self.scope["http_version"] == "1.0":
                self.keep_alive = False  # the end of the connection is the end of the body
            else:
                self.chunked_encoding = True
                content.append(b"transfer-encoding: chunked\r\n")
                lines += 1
        if not self.keep_alive:
            content.append(b"connection: close\r\n")
            lines += 1
        content.append(b"\r\n")
        head = b"".join(content)
        # One look for what could split the reply, instead of one per header.
        if not head.count(b"\n") == head.count(b"\r") == lines or b"\0" in head:
            raise RuntimeError("a header value has a line break or a null")
        self.response_started = True
        self.waiting_for_100_continue = False
        if self.access_log:
            self.access_logger.info('%s "%s" %d', self.scope["method"], self.scope["raw_path"], status)
        self.transport.write(head)

    def _rest_is_small(self) -> bool:
        # Without its 100 Continue a client may send the body or not: what follows is ambiguous.
        if self.waiting_for_100_continue or self.failure is not None:
            return False
        return self.body_left is not None and self.body_left <= KEEP_BYTES

    def _continue(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            body = b""
        if self.chunked_encoding:
            content = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
            if not more:
                content.append(b"0\r\n\r\n")
            if content:
                self.transport.write(b"".join(content))
        elif body:
            if self.chunked_encoding is not None:
                self.expected_content_length -= len(body)
                if self.expected_content_length < 0:
                    raise RuntimeError("the reply is longer than its Content-Length")
            self.transport.write(body)
        if more:
            return
        if self.expected_content_length:
            raise RuntimeError("the reply is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        self.on_response()


def _nothing() -> None:
    """What a finished cycle calls: a reference to the protocol would be a cycle for the collector."""
