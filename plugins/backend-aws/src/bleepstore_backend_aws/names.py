"""What S3 cannot hold as it is, escaped so that it can be told back; see the README.

Keys go upstream as they are. Only the segments ``.`` and ``..`` do not: libraries and proxies on the
way resolve them, and ``bucket/../other/key`` would be another bucket's object.

Values of metadata are ASCII upstream; others are RFC 2047 encoded words, as S3 itself shows them.
Authority: "Creating object key names" and "Working with object metadata" of the S3 user guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bleepstore.native import RESERVED
from bleepstore.native_names import (
    decoded_word,
    encoded_word,
    ends_undecided,
    escape_dots,
    unescape_dots,
    with_room,
)
from bleepstore.storage import Unsupported

LONGEST = 1024
"""Bytes of a key upstream, the prefix included."""
STORE = f"{RESERVED}/store"
"""The object with the store's id."""
WRITES = f"{RESERVED}/writes/"
"""Uploads of writes under way, an object each."""
PROBES = f"{RESERVED}/probes/"

_PLAIN = re.compile(r"|[!-~]|[!-~][ -~]*[!-~]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


# --- objects ----------------------------------------------------------------------------------------


def name_of(bucket: str, key: str, room: int = LONGEST) -> str:
    """The blob's name for a key, which may have ``room`` bytes. Raises Unsupported."""
    return with_room(f"{bucket}/{escape_dots(key)}", room)


def key_of(name: str) -> tuple[str, str] | None:
    """Bucket and key of a blob's name; ``None`` for a name that no key has."""
    bucket, slash, rest = name.partition("/")
    if not slash or not bucket or not rest or bucket == RESERVED:
        return None
    key = unescape_dots(rest)
    return (bucket, key) if escape_dots(key) == rest else None


def beginning(prefix: str) -> str:
    """What the escaped form of every key that begins with ``prefix`` begins with."""
    above, slash, last = prefix.rpartition("/")
    return escape_dots(above) + slash + ("" if ends_undecided(last) else last)


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
    return value if _PLAIN.fullmatch(value) else encoded_word(value)


value_in = decoded_word
"""The text of a header's value."""
