"""A server of HTTP between a client and a service, which fails as it is told.

A fault is armed for the next so many requests that it fits; everything else goes to what stands
behind, with the headers that were signed: another server, or a function of the tests.
"""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

Answer: TypeAlias = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


@dataclass
class Request:
    """One request that came, and how it is answered."""

    method: str
    target: str
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes
    handler: BaseHTTPRequestHandler
    faults: "Faults"

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.handler.send_response(status)
        for name, value in ({"content-length": str(len(body))} | dict(headers)).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        if self.method != "HEAD":
            self.handler.wfile.write(body)

    def forward(self) -> Answer:
        """Ask what stands behind."""
        return self.faults.behind(self)

    def cut(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()
        self.handler.close_connection = True


Act: TypeAlias = Callable[[Request], None]
"""What a fault does with a request, instead of passing it on."""


@dataclass
class Faults:
    """What was armed, and what came."""

    behind: Callable[[Request], Answer]
    """What answers that for which nothing is armed."""
    upstream: str = ""
    """Host and port of what stands behind, where it is another server."""
    endpoint: str = ""
    seen: list[Request] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    """All that were ever made."""
    released: threading.Event = field(default_factory=threading.Event)
    _armed: list[tuple[Act, list[int], dict[str, str]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, act: Act, *, times: int = 1, **like: str) -> None:
        """Do this with the next requests of a ``method``, with a ``target`` or a ``header`` in them."""
        self._armed.append((act, [times], like))

    def disarm(self) -> None:
        """Forget what has been armed and not come."""
        self._armed.clear()

    def take(self, request: Request) -> Act:
        with self._lock:
            self.seen.append(request)
            for act, times, like in self._armed:
                if times[0] and _fits(request, **like):
                    times[0] -= 1
                    return act
        return passed_on


def _fits(request: Request, method: str = "", target: str = "", header: str = "") -> bool:
    return (
        (not method or request.method == method)
        and target in unquote(request.target)
        and (not header or header in request.headers)
    )


# --- what can be done with a request ----------------------------------------------------------------


def passed_on(request: Request) -> None:
    request.answer(*request.forward())


def refused(status: int, code: str = "", **headers: str) -> Act:
    """Answered with an error in XML, as S3 and Azure tell theirs."""
    answer = error_of(status, code, **headers)
    return lambda request: request.answer(*answer)


def error_of(status: int, code: str = "", **headers: str) -> Answer:
    """An error in XML; without a code it says nothing, as a proxy's does."""
    if not code:
        return status, {}, b""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so armed</Message></Error>"
    return status, {"content-type": "application/xml", **_named(headers)}, body.encode()


def reset(request: Request) -> None:
    request.cut()


def lost(request: Request) -> None:
    """Done, but nobody hears of it."""
    request.forward()
    request.cut()


def silent(request: Request) -> None:
    """Never answered."""
    request.faults.released.wait(60)
    request.cut()


def cut_off(request: Request) -> None:
    """Half of the body, then a reset."""
    _half(request)
    request.cut()


def stalled(request: Request) -> None:
    """Half of the body, then nothing."""
    _half(request)
    silent(request)


def _half(request: Request) -> None:
    status, headers, body = request.forward()
    request.answer(status, {"content-length": str(len(body)), **headers}, body[: len(body) // 2])
    request.handler.wfile.flush()


def after(first: Callable[[], object]) -> Act:
    """Something happens, then the request is passed on."""

    def act(request: Request) -> None:
        first()
        passed_on(request)

    return act


def then(second: Callable[[], object], *, act: Act = lost) -> Act:
    """The request is done as ``act`` does it, and something happens."""

    def both(request: Request) -> None:
        act(request)
        second()

    return both


def holding(come: threading.Event, go: threading.Event) -> Act:
    """Tell that a request has come, and pass it on when told."""

    def act(request: Request) -> None:
        come.set()
        go.wait(30)
        passed_on(request)

    return act


def said(body: Callable[[bytes], bytes] = bytes, status: int = 0, **headers: str) -> Act:
    """Passed on, and the answer says something else: ``etag='"0"'``."""

    def act(request: Request) -> None:
        found, others, content = request.forward()
        changed = body(content)
        if changed != content:
            others["content-length"] = str(len(changed))
        request.answer(status or found, {**others, **_named(headers)}, changed)

    return act


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


# --- the server -------------------------------------------------------------------------------------

F = TypeVar("F", bound=Faults)


@contextmanager
def faulty(endpoint: str) -> Iterator[Faults]:
    """Start it in front of another server."""
    place = urlsplit(endpoint)
    with listening(Faults(ask, place.netloc), place.path) as faults:
        yield faults


def ask(request: Request) -> Answer:
    """Send a request upstream as it came."""
    upstream = http.client.HTTPConnection(request.faults.upstream, timeout=30)
    try:
        upstream.request(request.method, request.target, request.body, _kept(request.headers, "expect"))
        response = upstream.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, _kept(headers), response.read()
    finally:
        upstream.close()


def _kept(headers: Mapping[str, str], *others: str) -> dict[str, str]:
    """Without what is said of one connection only."""
    return {
        name: value
        for name, value in headers.items()
        if name not in ("transfer-encoding", "connection", *others)
    }


@contextmanager
def listening(faults: F, path: str = "") -> Iterator[F]:
    """Start the server; its endpoint has this path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are written one after the other

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body, self, faults)
            faults.take(request)(request)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = do_PATCH = serve

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # they end with the server, so that no test counts another's connections
        request_queue_size = 64

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            faults.connections.append(connection)
            return connection, address

        def handle_error(self, *_: object) -> None:
            """A client that hung up is what some tests want."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        faults.endpoint = f"http://127.0.0.1:{server.server_port}{path}"
        try:
            yield faults
        finally:
            faults.released.set()
            server.shutdown()
            thread.join()
            for connection in faults.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
