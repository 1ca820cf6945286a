"""The canonical request and the signature over it.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
Everything is signed as it was on the wire: S3 does not normalise paths. What a client left
unencoded, or encoded needlessly, is brought into the one canonical form.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256().hexdigest()

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PATH = _UNRESERVED + b"/"


def canonical_path(raw_path: str) -> str:
    """The path, each byte encoded as RFC 3986 has it; an encoded slash stays encoded."""
    raw = raw_path.encode("latin-1")
    if not raw.translate(None, _PATH):
        return raw_path
    pieces = raw.replace(b"%2f", b"%2F").split(b"%2F")
    return "%2F".join(quote_from_bytes(unquote_to_bytes(piece), safe="/-._~") for piece in pieces)


def canonical_query(raw_query: str, without: str | None = None) -> str:
    """The query, sorted by encoded name and value, without the parameter named."""
    if not raw_query:
        return ""
    pairs = []
    for part in raw_query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        if not (name.isalnum() and name.isascii()):
            name = _encode(name)
        if name != without:
            pairs.append((name, value if value.isalnum() and value.isascii() else _encode(value)))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _encode(text: str) -> str:
    # The credential is the same in all requests of a client; what is long is not worth keeping.
    return _encoded(text) if len(text) <= 128 else _encoded.__wrapped__(text)


@lru_cache(maxsize=1024)
def _encoded(text: str) -> str:
    raw = text.encode("latin-1")
    if not raw.translate(None, _UNRESERVED):
        return text
    return quote_from_bytes(unquote_to_bytes(raw.replace(b"+", b" ")), safe="-._~")


def canonical_headers(headers: Mapping[str, str], names: Iterable[str]) -> str:
    """A line for each signed header; runs of spaces become one."""
    lines = []
    for name in names:
        value = headers.get(name, "")
        if "  " in value or "\t" in value:
            # Not split(): the bytes of UTF-8 that are spaces of latin-1 are no spaces here.
            value = " ".join(filter(None, value.replace("\t", " ").split(" ")))
        lines.append(f"{name}:{value}\n")
    return "".join(lines)


def canonical_request(method: str, path: str, query: str, headers: str, signed: str, payload: str) -> str:
    """The canonical request; its characters are bytes (latin-1)."""
    return f"{method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}"


def string_to_sign(date: str, scope: str, request: str) -> str:
    """What is signed: ``date`` is ``YYYYMMDDTHHMMSSZ``, ``scope`` DATE/REGION/SERVICE/aws4_request."""
    return f"{ALGORITHM}\n{date}\n{scope}\n{hashlib.sha256(request.encode('latin-1')).hexdigest()}"


def signing_key(secret: str, day: str, region: str) -> bytes:
    """The key of a day, a region and the service ``s3``."""
    key = b"AWS4" + secret.encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(key: bytes, text: str) -> str:
    """The signature, in hex."""
    mac = _keyed(key).copy()
    mac.update(text.encode())
    return mac.hexdigest()


@lru_cache(maxsize=1024)
def _keyed(key: bytes) -> hmac.HMAC:
    """An HMAC that has taken its key: to copy it costs a fifth of beginning anew."""
    return hmac.new(key, digestmod="sha256")


class SigningKeys:
    """Signing keys that were derived already: four HMACs a day and region, not a request."""

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._keys: dict[Sequence[str], bytes] = {}

    def get(self, access_key: str, secret: str, day: str, region: str) -> bytes:
        """The key; derived once."""
        at = (access_key, day, region)
        key = self._keys.get(at)
        if key is None:
            if len(self._keys) >= self._limit:
                self._keys.clear()
            key = self._keys[at] = signing_key(secret, day, region)
        return key
