"""Names and values that more than one cloud cannot hold as they are, and how they are told back.

The segments ``.`` and ``..`` of a key are resolved by libraries and proxies on the way, so that
``bucket/../other/key`` would be another bucket's object. They are written as URLs write them, ``%2E``
and ``%2E%2E``; a segment that looks like such an escape gets another ``25``. Every other one stays.

Values of metadata that cannot stand in a header are RFC 2047 encoded words of UTF-8, as S3 itself
shows them.
"""

from __future__ import annotations

import base64
import binascii
import re

from bleepstore.storage import KeyTooLong, Unsupported

_DOTS = re.compile(r"\.\.?|%(?:25)*2E(?:%2E)?")
"""A segment that is escaped: dots, and what an escaped one looks like."""
_MAYBE_DOTS = re.compile(r"\.\.?|%(?:25)*(?:2(?:5|E(?:%(?:2E?)?)?)?)?")
"""The end of a prefix that is escaped or not by what follows it."""
_WORD = re.compile(r"=\?utf-8\?b\?([A-Za-z0-9+/]*={0,2})\?=", re.IGNORECASE)


def with_room(name: str, room: int) -> str:
    """A blob's name that has at most ``room`` bytes of UTF-8. Raises KeyTooLong, and Unsupported."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise Unsupported("the key is no text") from error
    if length > room:
        raise KeyTooLong(f"it takes {length} bytes upstream, and has room for {room}")
    return name


# --- segments of dots -------------------------------------------------------------------------------


def escape_dots(key: str) -> str:
    """A key whose segments nobody resolves."""
    if "." not in key and "%" not in key:
        return key
    return "/".join(map(_escaped, key.split("/")))


def unescape_dots(escaped: str) -> str:
    """The key that :func:`escape_dots` has escaped."""
    return "/".join(map(_unescaped, escaped.split("/"))) if "%" in escaped else escaped


def ends_undecided(prefix: str) -> bool:
    """Whether what follows decides if the last segment of a prefix is escaped."""
    return _MAYBE_DOTS.fullmatch(prefix.rpartition("/")[2]) is not None


def _escaped(segment: str) -> str:
    if not _DOTS.fullmatch(segment):
        return segment
    return segment.replace(".", "%2E") if segment[0] == "." else f"%25{segment[1:]}"


def _unescaped(segment: str) -> str:
    if not _DOTS.fullmatch(segment) or segment[0] == ".":
        return segment
    return f"%{segment[3:]}" if segment.startswith("%25") else segment.replace("%2E", ".")


# --- encoded words ----------------------------------------------------------------------------------


def is_word(value: str) -> bool:
    """Whether a value looks like an encoded word."""
    return _WORD.fullmatch(value) is not None


def encoded_word(value: str) -> str:
    """A value in printable ASCII."""
    return f"=?UTF-8?B?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}?="


def decoded_word(value: str) -> str:
    """The text of an encoded word; what is none comes as it is."""
    match = _WORD.fullmatch(value)
    if match is None:
        return value
    try:
        return base64.b64decode(match[1], validate=True).decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        return value
