"""A server of HTTP between a client and something that speaks S3, which fails as it is told.

A fault is armed for the next so many requests that it fits; everything else goes through, with the
Host that was signed.
"""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


@dataclass
class Request:
    """One request that came, and how it is answered."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    handler: BaseHTTPRequestHandler
    faults: "Faults"

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.handler.send_response(status)
        for name, value in ({"content-length": str(len(body))} | dict(headers)).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        if self.method != "HEAD":
            self.handler.wfile.write(body)

    def forward(self) -> Answer:
        """Ask upstream."""
        upstream = http.client.HTTPConnection(self.faults.upstream, timeout=30)
        try:
            headers = {name: value for name, value in self.headers.items() if name != "expect"}
            upstream.request(self.method, self.target, self.body, headers)
            response = upstream.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            for name in ("transfer-encoding", "connection"):
                headers.pop(name, None)
            return response.status, headers, response.read()
        finally:
            upstream.close()

    def cut(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()
        self.handler.close_connection = True


Act = Callable[[Request], None]
"""What a fault does with a request, instead of passing it on."""


@dataclass
class Faults:
    """What was armed, and what came."""

    upstream: str
    endpoint: str = ""
    seen: list[Request] = field(default_factory=list)
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
        and target in request.target
        and (not header or header in request.headers)
    )


# --- what can be done with a request ----------------------------------------------------------------


def passed_on(request: Request) -> None:
    request.answer(*request.forward())


def refused(status: int, code: str = "") -> Act:
    """Answered with an error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so armed</Message></Error>".encode()
    headers = {"content-type": "application/xml"} if code else {}
    return lambda request: request.answer(status, headers, body if code else b"")


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
    status, headers, body = request.forward()
    request.answer(status, headers, body[: len(body) // 2])
    request.handler.wfile.flush()
    request.cut()


def stalled(request: Request) -> None:
    """Half of the body, then nothing."""
    status, headers, body = request.forward()
    request.answer(status, headers, body[: len(body) // 2])
    request.handler.wfile.flush()
    silent(request)


def after(first: Callable[[], object]) -> Act:
    """Something happens, then the request is passed on."""

    def act(request: Request) -> None:
        first()
        passed_on(request)

    return act


def said(body: Callable[[bytes], bytes] = bytes, status: int = 0, **headers: str) -> Act:
    """Passed on, and the answer says something else: ``etag='"0"'``."""

    def act(request: Request) -> None:
        found, others, content = request.forward()
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body(content)
        request.answer(status or found, {**others, **changed, "content-length": str(len(content))}, content)

    return act


# --- the server -------------------------------------------------------------------------------------


@contextmanager
def faulty(endpoint: str) -> Iterator[Faults]:
    """Start it in front of an endpoint."""
    faults = Faults(urlsplit(endpoint).netloc)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            for name in ("transfer-encoding", "connection"):
                headers.pop(name, None)
            request = Request(self.command, self.path, headers, body, self, faults)
            faults.take(request)(request)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = serve

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hung up is what some tests want."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        faults.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield faults
        finally:
            faults.released.set()
            server.shutdown()
            thread.join()
