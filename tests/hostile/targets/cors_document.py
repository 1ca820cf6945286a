"""CORS: what is taken comes back as it was put, and decides about any preflight.

The input is a line with Origin, method and headers of a preflight, separated by tabs, and the document.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bleepstore import xml
from bleepstore.errors import S3Error
from bleepstore.http.cors import preflight
from bleepstore.http.headers import is_header
from bleepstore.s3.cors import get_bucket_cors, put_bucket_cors
from bleepstore.settings import Settings
from bleepstore.xml.shapes import CORSConfiguration
from exchanges import NOW, exchange, run
from harness import check_error

WORDS = (
    *(
        b"<CORSConfiguration>",
        b"<CORSRule>",
        b"</CORSRule>",
        b"<AllowedOrigin>",
        b"</AllowedOrigin>",
        b"<AllowedMethod>GET</AllowedMethod>",
    ),
    *(
        b"<AllowedHeader>*</AllowedHeader>",
        b"<ExposeHeader>ETag</ExposeHeader>",
        b"<MaxAgeSeconds>60</MaxAgeSeconds>",
        b"<ID>a</ID>",
    ),
    *(b"http://*.example.com", b"https://a", b"x-amz-meta-a, content-type"),
)


class Bucket:
    """A bucket, and the body of a request about it."""

    name, id, owner = "b", 1, "o"

    def __init__(self, body: bytes) -> None:
        self.documents: set[str] = set()
        self.stored = b""
        self._body = body

    async def bucket(self, name: str) -> Bucket:
        return self

    async def bucket_document(self, bucket: int, name: str) -> bytes:
        return self.stored

    async def apply(self, command: Any) -> None:
        self.documents, self.stored = {command.name}, command.body

    async def read(self, limit: int) -> bytes:
        return self._body


def check(data: bytes) -> None:
    """Check one document, and one preflight by its rules."""
    first, _, body = data.partition(b"\n")
    origin, method, names = (*first.decode("latin-1").split("\t"), "", "", "")[:3]
    bucket: Any = Bucket(body)
    fields = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", names),
    ]
    x = exchange("GET", "/b", [(n, v) for n, v in fields if is_header(n, v)])
    x.services = SimpleNamespace(metadata=bucket, settings=Settings(), new_id=lambda: "0" * 32)  # type: ignore[assignment]
    x.body, x.bucket, x.bucket_name, x.now = bucket, bucket, "b", NOW
    run(put_bucket_cors(x))
    stored = run(get_bucket_cors(x)).body
    assert isinstance(stored, bytes)
    assert xml.read(CORSConfiguration, stored) == xml.read(CORSConfiguration, body)
    try:
        reply = run(preflight(x))
    except S3Error as error:
        check_error(error)
        return
    assert all(is_header(name, value) for name, value in reply.headers.items())
    "".join(reply.headers.values()).encode("latin-1")
    assert reply.headers["access-control-allow-origin"] in ("*", x.headers["origin"])
