"""A small Cloud Storage on a port, strict about generations, which fails as it is told.

Faults are those of ``faulty_http`` and some of its own; the service behind them is in ``gcp_service``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from faulty_http import Act, Answer, Faults, Request, listening, passed_on
from gcp_service import Held, Refused, Service

JSON = {"content-type": "application/json; charset=UTF-8"}


@dataclass
class Stub(Faults):
    """What was armed, what came, and the service itself."""

    service: Service = field(default_factory=Service)


# --- what can be done with a request ----------------------------------------------------------------


def refused(status: int, reason: str = "") -> Act:
    """Answered with an error."""
    return lambda request: request.answer(*error_of(status, reason, "so armed"))


def spoilt(request: Request) -> None:
    """One bit of the body is another."""
    status, headers, body = request.forward()
    request.answer(status, headers, bytes([body[0] ^ 1]) + body[1:])


def shortened(request: Request) -> None:
    """Of a chunk, the service takes the first 256 KiB only, as it may."""
    span = request.headers["content-range"]
    start = int(span.removeprefix("bytes ").partition("-")[0])
    request.body = request.body[: 256 * 1024]
    request.headers["content-range"] = f"bytes {start}-{start + len(request.body) - 1}/*"
    request.headers.pop("x-goog-hash", None)
    passed_on(request)


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


def _ask(service: Service, request: Request) -> Answer:
    try:
        with service.lock:
            return _serve(service, request)
    except Refused as error:
        return error_of(error.status, error.reason, str(error))


def _serve(service: Service, request: Request) -> Answer:
    path, query = urlsplit(request.target).path, request.query
    if path == "/storage/v1/b" and request.method == "POST":
        name = json.loads(request.body)["name"]
        service.buckets.setdefault(name, {})
        return _said({"kind": "storage#bucket", "name": name})
    if "upload_id" in query:
        return _resume(service, request, query["upload_id"])
    if found := _OBJECT.fullmatch(path):
        return _object(service, request, [part and unquote(part) for part in found.groups()])
    if found := _BUCKET.fullmatch(path):
        bucket = unquote(found[2])
        if found[1]:
            return _upload(service, request, bucket)
        return _said(service.list(bucket, query))
    raise Refused(404, "notFound", f"There is nothing at {path}")


def _object(service: Service, request: Request, parts: list[Any]) -> Answer:
    query = request.query
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


def _upload(service: Service, request: Request, bucket: str) -> Answer:
    query = request.query
    if query["uploadType"] == "resumable":
        given = json.loads(request.body)
        given.setdefault("contentType", request.headers.get("x-upload-content-type"))
        session = service.begin(bucket, given, query)
        place = f"{request.faults.endpoint}/upload/storage/v1/b/{bucket}/o?uploadType=resumable"
        return 200, {"location": f"{place}&upload_id={session}"}, b""
    boundary = request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    _, first, second = request.body.split(b"--" + boundary, 2)
    data = second[: second.rindex(b"--" + boundary)].removeprefix(b"\r\n").removesuffix(b"\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    given = json.loads(first.partition(b"\r\n\r\n")[2])
    given.setdefault("contentType", head.decode().partition(": ")[2])
    return _said(service.store(bucket, given["name"], body, given, query))


def _resume(service: Service, request: Request, session: str) -> Answer:
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
    service = Service()
    service.buckets[bucket] = {}
    with listening(Stub(partial(_ask, service), service=service)) as stub:
        yield stub
