"""Signature Version 4, written from its description, for requests that no SDK would make.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html ,
sigv4-query-string-auth.html, sigv4-streaming.html and sigv4-streaming-trailers.html beside it.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encoded(raw: str, safe: str = "") -> str:
    return quote(unquote_to_bytes(raw), safe=safe + "-_.~")


def _canonical_query(query: str) -> str:
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


@dataclass(frozen=True)
class Signed:
    """A signed request: all its headers, and what its chunks are signed with."""

    headers: dict[str, str]
    signature: str
    date: str
    scope: str
    key: bytes

    def chunk(self, previous: str, data: bytes) -> str:
        """The signature of a chunk that follows the signature ``previous``."""
        text = ["AWS4-HMAC-SHA256-PAYLOAD", self.date, self.scope, previous, EMPTY]
        text.append(hashlib.sha256(data).hexdigest())
        return _hmac(self.key, "\n".join(text)).hex()

    def trailer(self, previous: str, lines: bytes) -> str:
        """The signature of the trailers, each line ``name:value`` with a line feed."""
        text = ["AWS4-HMAC-SHA256-TRAILER", self.date, self.scope, previous]
        text.append(hashlib.sha256(lines).hexdigest())
        return _hmac(self.key, "\n".join(text)).hex()

    def chunks(self, pieces: Iterable[bytes]) -> tuple[bytes, str]:
        """All pieces framed and signed, with the empty chunk at the end, and the last signature."""
        framed, signature = [], self.signature
        for piece in [*pieces, b""]:
            signature = self.chunk(signature, piece)
            framed.append(b"%x;chunk-signature=%s\r\n" % (len(piece), signature.encode()))
            framed.append(piece + b"\r\n" if piece else b"")
        return b"".join(framed), signature


@dataclass(frozen=True)
class Signer:
    """Signs for one key pair."""

    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def _key(self, day: str) -> bytes:
        key = _hmac(f"AWS4{self.secret_key}".encode(), day)
        for part in (self.region, "s3", "aws4_request"):
            key = _hmac(key, part)
        return key

    def sign(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        payload: str = UNSIGNED,
        *,
        at: datetime.datetime | None = None,
    ) -> Signed:
        """Sign ``headers`` (with Host) for a raw target; ``payload`` is x-amz-content-sha256."""
        date = (at or datetime.datetime.now(datetime.UTC)).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        signed = {**headers, "x-amz-date": date, "x-amz-content-sha256": payload}
        lower = sorted((name.lower(), " ".join(value.split())) for name, value in signed.items())
        names = ";".join(name for name, _ in lower)
        path, _, query = target.partition("?")
        lines = [method, _encoded(path, "/"), _canonical_query(query)]
        lines += [f"{name}:{value}" for name, value in lower]
        canonical = "\n".join([*lines, "", names, payload])
        digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
        key = self._key(date[:8])
        signature = _hmac(key, "\n".join(["AWS4-HMAC-SHA256", date, scope, digest])).hex()
        signed["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        )
        return Signed(signed, signature, date, scope, key)

    def presign(
        self,
        method: str,
        host: str,
        target: str,
        *,
        expires: int = 3600,
        payload: str = UNSIGNED,
        **headers: str,
    ) -> str:
        """``target`` with a signature in its query; ``headers`` are to be sent with it (``_`` is ``-``)."""
        signed = sorted([("host", host), *((n.replace("_", "-"), v) for n, v in headers.items())])
        names = ";".join(name for name, _ in signed)
        date = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        path, _, query = target.partition("?")
        more = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": date,
            "X-Amz-Expires": str(expires),
            "X-Amz-SignedHeaders": names,
        }
        query = "&".join(
            [*filter(None, [query]), *(f"{name}={quote(value, safe='')}" for name, value in more.items())]
        )
        lines = [method, _encoded(path, "/"), _canonical_query(query)]
        lines += [*(f"{name}:{value}" for name, value in signed), "", names, payload]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", date, scope, digest])
        return f"{path}?{query}&X-Amz-Signature={_hmac(self._key(date[:8]), text).hex()}"
