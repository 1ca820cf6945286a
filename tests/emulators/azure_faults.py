"""A server of HTTP between a client and the emulator of Azure, which fails as it is told.

A fault is armed for the next so many requests that it fits; everything else goes through. What the
emulator has not got is done here from what it has: Put Block From URL.
"""

import base64
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from azure.storage.blob import BlobClient


@dataclass
class Request:
    """One request that came, and how it is answered."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    handler: BaseHTTPRequestHandler
    faults: "Faults"

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.handler.send_response(status)
        for name, value in ({"content-length": str(len(body))} | headers).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        if self.method != "HEAD":
            self.handler.wfile.write(body)

    def forward(self) -> tuple[int, dict[str, str], bytes]:
        """Ask the emulator."""
        upstream = http.client.HTTPConnection(self.faults.upstream, timeout=30)
        try:
            upstream.request(self.method, self.target, self.body, self.headers)
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
    _armed: list[list] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, act: Act, *, times: int = 1, **like: str | None) -> None:
        """Do this with the next requests of a ``method``, with a ``query`` name or a ``header``."""
        self._armed.append([act, times, like])

    def disarm(self) -> None:
        """Forget what has been armed and not come."""
        self._armed.clear()

    def take(self, request: Request) -> Act:
        with self._lock:
            self.seen.append(request)
            for fault in self._armed:
                act, times, like = fault
                if times and _fits(request, **like):
                    fault[1] -= 1
                    return act
        from_url = "x-ms-copy-source" in request.headers and request.query.get("comp") == "block"
        return put_block_from_url if from_url else passed_on


def _fits(
    request: Request, method: str | None = None, query: str | None = None, header: str | None = None
) -> bool:
    return (
        (method is None or request.method == method)
        and (query is None or query in urlsplit(request.target).query)
        and (header is None or header in request.headers)
    )


# --- what can be done with a request --------------------------------------------------------------------


def passed_on(request: Request) -> None:
    request.answer(*request.forward())


def refused(status: int, code: str) -> Act:
    """Answered with an error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so armed</Message></Error>".encode()
    headers = {"x-ms-error-code": code, "content-type": "application/xml"} if code else {}
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


def after(first: Callable[[], object]) -> Act:
    """Something happens, then the request is passed on."""

    def act(request: Request) -> None:
        first()
        passed_on(request)

    return act


def said(**headers: str) -> Act:
    """Passed on, and the answer says something else: ``x_ms_copy_status="pending"``."""

    def act(request: Request) -> None:
        status, found, body = request.forward()
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        request.answer(status, found | changed, body)

    return act


def put_block_from_url(request: Request) -> None:
    """What the service does: read the range of the source on the condition, and stage it."""
    source = urlsplit(request.headers["x-ms-copy-source"])
    condition = {"If-Match": token} if (token := request.headers.get("x-ms-source-if-match")) else {}
    upstream = http.client.HTTPConnection(request.faults.upstream, timeout=30)
    wanted = {
        "x-ms-range": request.headers.get("x-ms-source-range", "bytes=0-"),
        "x-ms-version": "2024-11-04",
    }
    upstream.request("GET", f"{source.path}?{source.query}", headers=wanted | condition)
    response = upstream.getresponse()
    data = response.read()
    upstream.close()
    if response.status != 206:
        code = {404: "CannotVerifyCopySource", 412: "SourceConditionNotMet"}.get(response.status, "")
        refused(response.status, code)(request)
        return
    from azurite import ACCOUNT, KEY

    path = urlsplit(request.target).path
    client = BlobClient.from_blob_url(
        f"http://{request.faults.upstream}{path}", credential={"account_name": ACCOUNT, "account_key": KEY}
    )
    client.stage_block(base64.b64decode(request.query["blockid"]).decode(), data)
    request.answer(201, {"x-ms-request-server-encrypted": "true"})


# --- the server -----------------------------------------------------------------------------------------


@contextmanager
def faulty(endpoint: str) -> Iterator[Faults]:
    """Start it in front of an emulator's endpoint."""
    faults = Faults(urlsplit(endpoint).netloc)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            headers.pop("transfer-encoding", None)
            request = Request(self.command, self.path, headers, body, self, faults)
            faults.take(request)(request)

        do_GET = do_PUT = do_HEAD = do_DELETE = serve

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hung up is what some tests want."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        faults.endpoint = f"http://127.0.0.1:{server.server_port}{urlsplit(endpoint).path}"
        try:
            yield faults
        finally:
            faults.released.set()
            server.shutdown()
            thread.join()
