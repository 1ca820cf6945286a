"""Presigned requests by the thousand: Signature Version 4 in the query, the key derived once.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html . Keys and bucket
names here need no escaping but that of ``quote``; what is measured is the server and not this.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, urlsplit


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@dataclass(frozen=True)
class Request:
    """A request as a load generator needs it: no header but Host, Content-Length and ``headers``."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...] = ()

    def head(self, length: int | None = None) -> bytes:
        """Request line and headers; ``length`` is that of the body, where there is one."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class Presigner:
    """Signs for one key pair at one endpoint."""

    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @cached_property
    def host(self) -> str:
        """The Host header."""
        return urlsplit(self.url).netloc

    @cached_property
    def _date(self) -> str:
        return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")

    @cached_property
    def _scope(self) -> str:
        return f"{self._date[:8]}/{self.region}/s3/aws4_request"

    @cached_property
    def _key(self) -> bytes:
        key = f"AWS4{self.secret_key}".encode()
        for part in (self._date[:8], self.region, "s3", "aws4_request"):
            key = _hmac(key, part)
        return key

    def request(self, method: str, path: str, query: dict[str, str] | None = None, **amz: str) -> Request:
        """Presigned for a day; ``path`` is ``bucket/key``, ``amz`` headers such as ``copy_source``."""
        headers = tuple((f"x-amz-{name.replace('_', '-')}", value) for name, value in sorted(amz.items()))
        names = ";".join(["host", *(name for name, _ in headers)])
        pairs = {
            **(query or {}),
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.access_key}/{self._scope}",
            "X-Amz-Date": self._date,
            "X-Amz-Expires": "86400",
            "X-Amz-SignedHeaders": names,
        }
        text = "&".join(sorted(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in pairs.items()))
        path = "/" + quote(path)
        lines = [method, path, text, f"host:{self.host}", *(f"{n}:{v}" for n, v in headers), "", names]
        canonical = hashlib.sha256("\n".join([*lines, "UNSIGNED-PAYLOAD"]).encode()).hexdigest()
        signature = _hmac(self._key, f"AWS4-HMAC-SHA256\n{self._date}\n{self._scope}\n{canonical}").hex()
        return Request(method, f"{path}?{text}&X-Amz-Signature={signature}", self.host, headers)
