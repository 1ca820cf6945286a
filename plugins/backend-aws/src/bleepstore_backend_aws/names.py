"""What S3 cannot hold as it is, escaped so that it can be told back; see the README.

Keys go upstream as they are. Only the segments ``.`` and ``..`` do not: libraries and proxies on the
way resolve them, and ``bucket/../other/key`` would be another bucket's object.

Values of metadata are ASCII upstream; others are RFC 2047 encoded words, as S3 itself shows them.
Authority: "Creating object key names" and "Working with object metadata" of the S3 user guide.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from bleepstore.native import RESERVED
from bleepstore.storage import Unsupported

LONGEST = 1024
"""Bytes of a key upstream, the prefix included."""
STORE = f"{RESERVED}/store"
"""The object with the store's id."""
WRITES = f"{RESERVED}/writes/"
"""Uploads of writes under way, an object each."""
PROBES = f"{RESERVED}/probes/"

_DOTS = re.compile(r"\.\.?|%(?:25)*2E(?:%2E)?")
"""A segment that is escaped: dots, and what an escaped one looks like."""
_MAYBE_DOTS = re.compile(r"\.\.?|%(?:25)*(?:2(?:5|E(?:%(?:2E?)?)?)?)?")
"""The end of a prefix that is escaped or not by what follows it."""
_PLAIN = re.compile(r"|[!-~]|[!-~][ -~]*[!-~]")
_WORD = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/]*={0,2})\?=", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


# --- objects ----------------------------------------------------------------------------------------


def name_of(bucket: str, key: str, room: int = LONGEST) -> str:
    """The blob's name for a key, which may have ``room`` bytes. Raises Unsupported."""
    name = f"{bucket}/{_escape(key)}"
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise Unsupported("the key is no text") from error
    if length > room:
        raise Unsupported(f"the key takes {length} bytes upstream, and has room for {room}")
    return name


def key_of(name: str) -> tuple[str, str] | None:
    """Bucket and key of a blob's name; ``None`` for a name that no key has."""
    bucket, slash, rest = name.partition("/")
    if not slash or not bucket or not rest or bucket == RESERVED:
        return None
    key = "/".join(map(_unescape_segment, rest.split("/"))) if "%" in rest else rest
    return (bucket, key) if _escape(key) == rest else None


def beginning(prefix: str) -> str:
    """What the escaped form of every key that begins with ``prefix`` begins with."""
    above, slash, last = prefix.rpartition("/")
    return _escape(above) + slash + ("" if _MAYBE_DOTS.fullmatch(last) else last)


def _escape(key: str) -> str:
    if "." not in key and "%" not in key:
        return key
    return "/".join(_escape_segment(segment) for segment in key.split("/"))


def _escape_segment(segment: str) -> str:
    if not _DOTS.fullmatch(segment):
        return segment
    return segment.replace(".", "%2E") if segment[0] == "." else f"%25{segment[1:]}"


def _unescape_segment(segment: str) -> str:
    if not _DOTS.fullmatch(segment) or segment[0] == ".":
        return segment
    return f"%{segment[3:]}" if segment.startswith("%25") else segment.replace("%2E", ".")


# --- metadata ---------------------------------------------------------------------------------------


def metadata_out(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata as a request can carry it. Raises Unsupported."""
    for name in metadata:
        if not _TOKEN.fullmatch(name):
            raise Unsupported(f"metadata cannot be named {name!r} upstream")
    return {name: value_out(value) for name, value in metadata.items()}


def metadata_in(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata as the client gave it."""
    return {name: value_in(value) for name, value in metadata.items()}


def value_out(value: str) -> str:
    """A header's value in printable ASCII."""
    if _PLAIN.fullmatch(value):
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}?="


def value_in(value: str) -> str:
    """The text of a header's value."""
    match = _WORD.fullmatch(value)
    if match is None:
        return value
    try:
        return base64.b64decode(match[1], validate=True).decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        return value
