"""A small Cloud Storage on a port, strict about generations, which fails as it is told.

A fault is armed for the next so many requests that it fits; everything else goes to the service, which
is in ``gcp_service``.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gcp_service import Held, Refused, Service

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""
JSON = {"content-type": "application/json; charset=UTF-8"}


@dataclass
class Request:
    """One request that came, and how it is answered."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    handler: BaseHTTPRequestHandler
    stub: "Stub"

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.handler.send_response(status)
        for name, value in ({"content-length": str(len(body))} | dict(headers)).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def serve(self) -> Answer:
        """Ask the service."""
        try:
            with self.stub.service.lock:
                return _serve(self)
        except Refused as error:
            return error_of(error.status, error.reason, str(error))

    def cut(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()
        self.handler.close_connection = True


Act = Callable[[Request], None]
"""What a fault does with a request, instead of serving it."""


@dataclass
class Stub:
    """What was armed, and what came."""

    service: Service = field(default_factory=Service)
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
        return served


def _fits(request: Request, method: str = "", target: str = "", header: str = "") -> bool:
    return (
        (not method or request.method == method)
        and target in unquote(request.target)
        and (not header or header in request.headers)
    )


# --- what can be done with a request ----------------------------------------------------------------


def served(request: Request) -> None:
    request.answer(*request.serve())


def refused(status: int, reason: str = "") -> Act:
    """Answered with an error."""
    return lambda request: request.answer(*error_of(status, reason, "so armed"))


def reset(request: Request) -> None:
    request.cut()


def lost(request: Request) -> None:
    """Done, but nobody hears of it."""
    request.serve()
    request.cut()


def silent(request: Request) -> None:
    """Never answered."""
    request.stub.released.wait(60)
    request.cut()


def cut_off(request: Request) -> None:
    """Half of the body, then a reset."""
    status, headers, body = request.serve()
    request.answer(status, {"content-length": str(len(body)), **headers}, body[: len(body) // 2])
    request.handler.wfile.flush()
    request.cut()


def spoilt(request: Request) -> None:
    """One bit of the body is another."""
    status, headers, body = request.serve()
    request.answer(status, headers, bytes([body[0] ^ 1]) + body[1:])


def shortened(request: Request) -> None:
    """Of a chunk, the service takes the first 256 KiB only, as it may."""
    span = request.headers["content-range"]
    start = int(span.removeprefix("bytes ").partition("-")[0])
    request.body = request.body[: 256 * 1024]
    request.headers["content-range"] = f"bytes {start}-{start + len(request.body) - 1}/*"
    request.headers.pop("x-goog-hash", None)
    served(request)


def after(first: Callable[[], object]) -> Act:
    """Something happens, then the request is served."""

    def act(request: Request) -> None:
        first()
        served(request)

    return act


def then(second: Callable[[], object], *, act: Act = lost) -> Act:
    """The request is done as ``act`` does it, and something happens."""

    def both(request: Request) -> None:
        act(request)
        second()

    return both


# --- the JSON API -----------------------------------------------------------------------------------

_OBJECT = re.compile(
    r"(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)(?:/(compose)|/rewriteTo/b/([^/]+)/o/([^/]+))?"
)
_BUCKET = re.compile(r"(/upload)?/storage/v1/b/([^/]+)/o")
_SPAN = re.compile(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)")


def error_of(status: int, reason: str, message: str) -> Answer:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return (
        status,
        JSON,
        json.dumps({"error": {"code": status, "message": message, "errors": errors}}).encode(),
    )


def _serve(request: Request) -> Answer:
    service, path, query = request.stub.service, urlsplit(request.target).path, request.query
    if path == "/storage/v1/b" and request.method == "POST":
        name = json.loads(request.body)["name"]
        service.buckets.setdefault(name, {})
        return _said({"kind": "storage#bucket", "name": name})
    if "upload_id" in query:
        return _resume(request, query["upload_id"])
    if found := _OBJECT.fullmatch(path):
        return _object(request, [part and unquote(part) for part in found.groups()])
    if found := _BUCKET.fullmatch(path):
        bucket = unquote(found[2])
        if found[1]:
            return _upload(request, bucket)
        return _said(service.list(bucket, query))
    raise Refused(404, "notFound", f"There is nothing at {path}")


def _object(request: Request, parts: list[Any]) -> Answer:
    service, query = request.stub.service, request.query
    bucket, name, compose, *target = parts
    given = json.loads(request.body) if request.body else {}
    if compose:
        return _said(service.compose(bucket, name, given, query))
    if target[0]:
        return _said(service.rewrite((bucket, name), (target[0], target[1]), given, query))
    if request.method == "DELETE":
        service.delete(bucket, name, query)
        return 204, {}, b""
    if request.method == "PATCH":
        return _said(service.patch(bucket, name, given, query))
    held = service.find(bucket, name, query)
    return _media(request, held) if query.get("alt") == "media" else _said(held.resource)


def _media(request: Request, held: Held) -> Answer:
    resource, size = held.resource, len(held.data)
    hashes = [f"crc32c={resource['crc32c']}"]
    if "md5Hash" in resource:
        hashes.append(f"md5={resource['md5Hash']}")
    headers = {
        "content-type": resource.get("contentType", "application/octet-stream"),
        "x-goog-generation": resource["generation"],
        "x-goog-metageneration": resource["metageneration"],
        "x-goog-hash": ",".join(hashes),
    }
    for name in ("cacheControl", "contentDisposition", "contentLanguage"):
        if value := resource.get(name):
            headers[re.sub("([A-Z])", r"-\1", name).lower()] = value
    if encoding := resource.get("contentEncoding"):
        assert "gzip" in request.headers.get("accept-encoding", ""), "the service would unpack it"
        headers["content-encoding"] = encoding
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if span is None:
        return 200, headers, held.data
    start, end = int(span[1]), min(int(span[2] or size - 1), size - 1)
    if start >= size:
        raise Refused(416, "requestedRangeNotSatisfiable")
    headers["content-range"] = f"bytes {start}-{end}/{size}"
    return 206, headers, held.data[start : end + 1]


def _upload(request: Request, bucket: str) -> Answer:
    service, query = request.stub.service, request.query
    if query["uploadType"] == "resumable":
        given = json.loads(request.body)
        given.setdefault("contentType", request.headers.get("x-upload-content-type"))
        session = service.begin(bucket, given, query)
        place = f"{request.stub.endpoint}/upload/storage/v1/b/{bucket}/o?uploadType=resumable"
        return 200, {"location": f"{place}&upload_id={session}"}, b""
    boundary = request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    _, first, second = request.body.split(b"--" + boundary, 2)
    data = second[: second.rindex(b"--" + boundary)].removeprefix(b"\r\n").removesuffix(b"\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    given = json.loads(first.partition(b"\r\n\r\n")[2])
    given.setdefault("contentType", head.decode().partition(": ")[2])
    return _said(service.store(bucket, given["name"], body, given, query))


def _resume(request: Request, session: str) -> Answer:
    service = request.stub.service
    if request.method == "DELETE":
        service.sessions.pop(session, None)
        return 499, {}, b""
    span = _SPAN.fullmatch(request.headers["content-range"])
    assert span is not None, request.headers["content-range"]
    start = int(span[1]) if span[1] else None
    total = int(span[2]) if span[2] else None
    crc = request.headers.get("x-goog-hash", "").removeprefix("crc32c=") or None
    kept = service.append(session, start, request.body, total, crc)
    if isinstance(kept, int):
        return 308, {"range": f"bytes=0-{kept - 1}"} if kept else {}, b""
    return _said(kept)


def _said(resource: Mapping[str, Any]) -> Answer:
    return 200, JSON, json.dumps(resource).encode()


# --- the server -------------------------------------------------------------------------------------


@contextmanager
def strict(bucket: str) -> Iterator[Stub]:
    """Start it, with a bucket."""
    stub = Stub()
    stub.service.buckets[bucket] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are written one after the other

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body, self, stub)
            stub.take(request)(request)

        do_GET = do_PUT = do_DELETE = do_POST = do_PATCH = serve

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # they end with the server, so that no test counts another's connections
        request_queue_size = 64

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            stub.connections.append(connection)
            return connection, address

        def handle_error(self, *_: object) -> None:
            """A client that hung up is what some tests want."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        stub.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield stub
        finally:
            stub.released.set()
            server.shutdown()
            thread.join()
            for connection in stub.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
