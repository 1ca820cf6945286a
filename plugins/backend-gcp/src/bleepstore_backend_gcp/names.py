"""What Cloud Storage cannot hold as it is, escaped so that it can be told back; see the README.

Segments ``.`` and ``..`` of a key, and the two characters of line ends, are written as URLs write them.
What looks like such an escape gets another ``25``. Everything else is upstream as it is.

Metadata needs no escape: names and values are texts of JSON. It has limits.

Authority: "About Cloud Storage objects", object name requirements; ``ServiceConstants`` of the API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bleepstore.native import RESERVED
from bleepstore.native_names import ends_undecided, escape_dots, unescape_dots, with_room
from bleepstore.storage import Unsupported

LONGEST = 1024
"""Bytes of an object's name, the prefix included."""
METADATA_NAME = 1024
METADATA_VALUE = 4096
METADATA_BYTES = 8192
"""Bytes of a name, of a value, and of all of one object's metadata."""

STORE = f"{RESERVED}/store"
"""The object with the store's id."""
STAGING = f"{RESERVED}/staging/"
"""Large writes between their first buffer and their publishing, an object each."""
UPLOADS = f"{RESERVED}/uploads/"
"""A folder for each multipart upload."""

_LINE_END = re.compile(r"[\r\n]|%(?:25)*0[AD]")
"""What is escaped anywhere: line ends, and what an escaped one looks like."""
_ESCAPED_LINE_END = re.compile(r"%(25)?((?:25)*0[AD])")
_MAYBE_LINE_END = re.compile(r"%(?:25)*[02]?\Z")
"""The end of a prefix that is escaped or not by what follows it."""


# --- objects ----------------------------------------------------------------------------------------


def name_of(bucket: str, key: str, room: int = LONGEST) -> str:
    """The blob's name for a key, which may have ``room`` bytes. Raises Unsupported."""
    return with_room(f"{bucket}/{_escape(key)}", room)


def key_of(name: str) -> tuple[str, str] | None:
    """Bucket and key of a blob's name; ``None`` for a name that no key has."""
    bucket, slash, rest = name.partition("/")
    if not slash or not bucket or not rest or bucket == RESERVED:
        return None
    key = _unescape(rest) if "%" in rest else rest
    return (bucket, key) if _escape(key) == rest else None


def beginning(prefix: str) -> str:
    """What the escaped form of every key that begins with ``prefix`` begins with."""
    prefix = _MAYBE_LINE_END.sub("", prefix)
    above, slash, last = prefix.rpartition("/")
    return _escape(above) + slash + ("" if ends_undecided(last) else _escape(last))


def _escape(key: str) -> str:
    return escape_dots(_LINE_END.sub(_escape_line_end, key))


def _escape_line_end(match: re.Match[str]) -> str:
    text = match[0]
    return f"%25{text[1:]}" if text[0] == "%" else f"%{ord(text):02X}"


def _unescape(text: str) -> str:
    text = unescape_dots(text)
    return _ESCAPED_LINE_END.sub(lambda match: f"%{match[2]}" if match[1] else chr(int(match[2], 16)), text)


# --- metadata ---------------------------------------------------------------------------------------


def metadata_out(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata, if Cloud Storage can hold it. Raises Unsupported."""
    total = 0
    for name, value in metadata.items():
        try:
            lengths = len(name.encode()), len(value.encode())
        except UnicodeEncodeError as error:
            raise Unsupported("the metadata is no text") from error
        if not 0 < lengths[0] <= METADATA_NAME or lengths[1] > METADATA_VALUE:
            raise Unsupported(f"the metadata {name[:40]!r} is too long for Cloud Storage")
        total += sum(lengths)
    if total > METADATA_BYTES:
        raise Unsupported(f"the metadata takes {total} bytes, and has room for {METADATA_BYTES}")
    return dict(metadata)
