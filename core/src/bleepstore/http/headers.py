"""Headers and query: bytes to mappings once, strictly and bounded.

Header values are latin-1 text, so that signatures see the bytes that were sent. Repeated headers
are joined by commas (RFC 9110 section 5.3), except those in which a second value can only mean
that somebody is being deceived: they are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from bleepstore.errors import S3Error

QUERY_COUNT = 256
"""The most query parameters one request may have."""

SINGLE = frozenset(
    {
        "authorization",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "expect",
        "host",
        "if-modified-since",
        "if-unmodified-since",
        "range",
        "transfer-encoding",
        "x-amz-acl",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-copy-source-range",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-expected-bucket-owner",
        "x-amz-security-token",
        "x-amz-tagging",
    }
)
"""Headers that a request has once or not at all."""

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_CONTROLS = frozenset(map(chr, (*range(0x09), *range(0x0A, 0x20), 0x7F)))
_HEX = "0123456789abcdefABCDEF"
_OCTETS = {a + b: bytes((int(a + b, 16),)) for a in _HEX for b in _HEX}


def decode_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of a request by lower-case name. Raises S3Error InvalidRequest."""
    headers = {name.decode("latin-1"): value.decode("latin-1").strip(" \t") for name, value in pairs}
    if len(headers) < len(pairs):
        return _join_repeated(pairs)
    return headers


def _join_repeated(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.decode("latin-1")
        value = raw_value.decode("latin-1").strip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in SINGLE:
            raise S3Error("InvalidRequest", f"The header {name} must not be repeated.")
        else:
            headers[name] = f"{headers[name]},{value}"
    return headers


def is_header(name: str, value: str) -> bool:
    """Whether a lower-case name and a value can be those of a header (RFC 9110 section 5)."""
    return _TOKEN.issuperset(name) and _CONTROLS.isdisjoint(value)


def percent_decode(text: str) -> str:
    """Undo percent-encoding: strict hex digits, strict UTF-8. Raises S3Error InvalidURI.

    ``text`` holds the raw bytes as latin-1; bytes that a client left unencoded count as themselves.
    """
    if "%" not in text and text.isascii():
        return text
    first, *rest = text.split("%")
    octets = [first.encode("latin-1")]
    try:
        for part in rest:
            octets.append(_OCTETS[part[:2]])
            octets.append(part[2:].encode("latin-1"))
        return b"".join(octets).decode()
    except (KeyError, UnicodeDecodeError):
        raise S3Error("InvalidURI") from None


def parse_query(raw: str) -> dict[str, str]:
    """The query by decoded name: ``+`` is a space, the first of repeated names wins, bare names are "".

    Raises S3Error InvalidURI (bad percent-encoding or UTF-8), InvalidRequest (too many).
    """
    if not raw:
        return {}
    parts = raw.split("&", QUERY_COUNT)
    if len(parts) > QUERY_COUNT:
        raise S3Error("InvalidRequest", "The request has too many query parameters.")
    query: dict[str, str] = {}
    ascii_only = raw.isascii()
    for part in parts:
        if not part:
            continue
        name, _, value = part.partition("=")
        if "%" in part or "+" in part or not ascii_only:
            name, value = _decode_query(name), _decode_query(value)
        query.setdefault(name, value)
    return query


def _decode_query(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return percent_decode(text)


def content_length(text: str | None) -> int | None:
    """A length header as a number; ``None`` when absent or no plain decimal number."""
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 18:
        return None
    return int(text)
