"""One request and its reply on a connection: the bytes of a body in, a reply out.

Two kinds of work answer a request. S3 requests are served by the entry itself, which writes a reply
with :meth:`S3Cycle.reply` or piece by piece; any ASGI application is served through
:meth:`S3Cycle.receive` and :meth:`S3Cycle.send`. For both, a reply to a request whose body is still
coming decides whether the connection can be kept; a client that is gone is an exception, not silence;
HTTP/1.0 gets no chunks; header values are checked at once instead of one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from bleepstore.errors import S3Error

if TYPE_CHECKING:
    from bleepstore.http.protocol import S3Protocol

Message = MutableMapping[str, Any]

KEEP_BYTES = 64 * 1024
"""A rest of a body up to this size is swallowed after the reply, instead of closing."""
JOIN_BYTES = 64 * 1024
"""A body up to this size goes out in one write with its headers: a copy costs less than a call."""
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}


class ClientGone(OSError):
    """The client closed the connection before the reply was over."""


class ReplyBroken(Exception):
    """The reply cannot be finished, and was logged: the connection must end without a clean end."""


class S3Cycle:
    """A request/response pair of an :class:`~bleepstore.http.protocol.S3Protocol`."""

    __slots__ = (
        "_chunked",
        "_default_headers",
        "_flow",
        "_head",
        "_left",
        "_logger",
        "_on_response",
        "_transport",
        "_waiter",
        "bodiless",
        "body_left",
        "buffered",
        "disconnected",
        "ended",
        "failure",
        "half_closed",
        "http10",
        "keep_alive",
        "message",
        "method",
        "more_body",
        "pieces",
        "response_complete",
        "response_started",
        "waiting_for_100_continue",
    )

    def __init__(
        self,
        protocol: S3Protocol,
        method: str,
        *,
        length: int | None,
        keep_alive: bool,
        expects: bool = False,
        http10: bool = False,
    ) -> None:
        """``length``: the Content-Length, ``None`` for a chunked body."""
        self._transport = protocol.transport
        self._flow = protocol.flow
        self._logger = protocol.logger
        self._default_headers = protocol.server_state.default_headers
        self._on_response: Callable[[], None] = protocol.on_response_complete
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        """The head of the reply, until something goes out with it."""
        self._chunked = False
        self._left: int | None = None
        """Bytes of the reply's body that are still to come, where it has a Content-Length."""
        self.message = protocol.headers
        """Which message of the connection this is about, by identity."""
        self.method = method
        self.http10 = http10
        self.bodiless = method == "HEAD"
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects
        self.body_left = length
        self.pieces: list[bytes] = []
        self.buffered = 0
        self.more_body = True
        self.ended = False
        """The end of the body was handed to whoever reads it."""
        self.half_closed = False
        """The client sends nothing more, but may still read."""
        self.disconnected = False
        self.failure: S3Error | None = None
        """What the protocol found wrong with the body: raised by the next ``receive``."""
        self.response_started = False
        self.response_complete = False

    @property
    def lingers(self) -> bool:
        """Whether the client may still be sending, so that closing at once could cost it the reply."""
        return self.more_body and not self.half_closed

    def wake(self) -> None:
        """Something came: whoever waits in ``receive`` looks again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def fail(self, error: S3Error) -> None:
        """The body cannot be read on."""
        self.failure = error
        self.keep_alive = False
        self.wake()

    async def run(self, work: Callable[[S3Cycle], Awaitable[None]]) -> None:
        """Do the work; whatever it raises, the connection ends in order or is cut."""
        try:
            await work(self)
            if not self.response_complete and not self.disconnected:
                self._logger.error("The application returned without completing its reply.")
                self._transport.abort()
        except (ClientGone, ReplyBroken):
            self._transport.abort()
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception:
            self._logger.exception("Exception in the application")
            self._transport.abort()
        finally:
            self._on_response = _nothing

    # --- the request ------------------------------------------------------------------------------

    async def receive(self) -> Any:
        """The next ASGI message; the first call answers ``Expect: 100-continue``."""
        if self.waiting_for_100_continue and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
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
                self._flow.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    # --- the reply --------------------------------------------------------------------------------

    def begin(self, status: int, lines: bytes, length: int | None) -> None:
        """The head of the reply; it goes out with what follows.

        ``lines``: whole header lines but Date, Server, Connection and what frames the body, which
        ``length`` decides (``None``: in chunks, or up to the end of the connection).
        """
        if self.response_started:
            raise RuntimeError("a reply was begun twice")
        if self.more_body and not self._rest_is_small():
            self.keep_alive = False
        head = [_STATUS_LINES[status]]
        for name, value in self._default_headers:
            head += (name, b": ", value, b"\r\n")
        head.append(lines)
        bodiless = self.bodiless = self.bodiless or status in (204, 304)
        if length is not None:
            if status not in (204, 304):
                head.append(b"content-length: %d\r\n" % length)
            self._left = 0 if bodiless else length
        elif not bodiless:
            if self.http10:
                self.keep_alive = False  # the end of the connection is the end of the body
            else:
                self._chunked = True
                head.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            head.append(b"connection: close\r\n")
        head.append(b"\r\n")
        self._head = b"".join(head)
        self.response_started = True
        self.waiting_for_100_continue = False

    def _rest_is_small(self) -> bool:
        # Without its 100 Continue a client may send the body or not: what follows is ambiguous.
        if self.waiting_for_100_continue or self.failure is not None:
            return False
        return self.body_left is not None and self.body_left <= KEEP_BYTES

    async def piece(self, data: bytes) -> None:
        """A piece of the body; waits while the client reads slowly. Raises :class:`ClientGone`."""
        await self._writable()
        if data and not self.bodiless:
            self._put(data)
        elif self._head:
            self._put(b"")

    async def end(self, data: bytes = b"") -> None:
        """The last piece, and the end of the reply. Raises :class:`ClientGone`."""
        await self._writable()
        if self.bodiless:
            data = b""
        if self._chunked:
            self._chunked = False
            end = b"0\r\n\r\n"
            data = b"%x\r\n%b\r\n%b" % (len(data), data, end) if data else end
        if data or self._head:
            self._put(data)
        if self._left:
            raise RuntimeError("the reply is shorter than its Content-Length")
        self.response_complete = True
        self.wake()
        self._on_response()

    async def reply(self, status: int, lines: bytes, length: int | None, body: bytes) -> None:
        """A whole reply. Raises :class:`ClientGone`."""
        self.begin(status, lines, length)
        await self.end(body)

    async def _writable(self) -> None:
        if self._flow.write_paused and not self.disconnected:
            await self._flow.drain()
        if self.disconnected:
            raise ClientGone
        if self.response_complete:
            raise RuntimeError("a message was sent after the reply was complete")

    def _put(self, data: bytes) -> None:
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise RuntimeError("the reply is longer than its Content-Length")
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        head, self._head = self._head, b""
        if not head:
            self._transport.write(data)
        elif len(data) <= JOIN_BYTES:
            self._transport.write(head + data)
        else:
            self._transport.writelines((head, data))

    # --- ASGI -------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Write one ASGI message."""
        if message["type"] == "http.response.start":
            self._start(message)
        elif message.get("more_body", False):
            await self.piece(message.get("body", b""))
        else:
            await self.end(message.get("body", b""))

    def _start(self, message: Message) -> None:
        lines: list[bytes] = []
        count, length = 0, None
        for name, value in message.get("headers", ()):
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
            elif name != b"transfer-encoding":
                lines += (name, b": ", value, b"\r\n")
                count += 1
        joined = b"".join(lines)
        # One look for what could split the reply, instead of one per header.
        if not joined.count(b"\n") == joined.count(b"\r") == count or b"\0" in joined:
            raise RuntimeError("a header value has a line break or a null")
        self.begin(message["status"], joined, length)


def _nothing() -> None:
    """What a finished cycle calls: a reference to the protocol would be a cycle for the collector."""
