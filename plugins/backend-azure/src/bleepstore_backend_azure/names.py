"""What Azure cannot hold as it is, escaped so that it can be told back; see the README.

Names of blobs and of metadata are escaped as .NET's ``XmlConvert.EncodeName`` escapes names: a UTF-16
code unit as ``_xHHHH_``. Only what needs it is touched, and what looks like an escape. Values of
metadata are escaped as RFC 2047 encoded words, as S3 itself shows what is not ASCII.

Authority: "Naming and Referencing Containers, Blobs, and Metadata" of the Blob service's REST API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bleepstore.native import RESERVED
from bleepstore.native_names import decoded_word, encoded_word, is_word
from bleepstore.storage import KeyTooLong, Unsupported

LONGEST = 1024
"""UTF-16 code units of a blob's name, the prefix included."""
SEGMENTS = 254
"""Most segments of a name; slashes beyond these are escaped."""
METADATA_BYTES = 8 * 1024
"""Names and values of one blob's metadata."""

STORE = f"{RESERVED}/store"
"""The blob with the store's id."""
STAGING = f"{RESERVED}/staging"
UPLOADS = f"{RESERVED}/uploads"

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LIKE_ESCAPE = r"_(?=x[0-9A-Fa-f]{4})"
_IN_KEYS = re.compile(
    # Controls, what is no character, backslashes (which become slashes), dots that end a segment.
    rf"[\x00-\x1f\x7f-\x9f\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\\]|\.(?=/|$)|{_LIKE_ESCAPE}",
    re.DOTALL,
)
_UNDECIDED = re.compile(r"(?:\.+|_(?:x[0-9A-Fa-f]{0,3})?)\Z")
"""The end of a prefix that is escaped or not by what follows it."""
_IN_NAMES = re.compile(rf"[^A-Za-z0-9_]|^[0-9]|{_LIKE_ESCAPE}", re.DOTALL)
_PLAIN_VALUE = re.compile(r"[!-~]|[!-~][ -~]*[!-~]")


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"_x{units[n : n + 2].hex()}_" for n in range(0, len(units), 2))


def _unescape(text: str) -> str:
    if "_x" not in text:
        return text
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


# --- blobs ------------------------------------------------------------------------------------------


def name_of(bucket: str, key: str, room: int = LONGEST) -> str:
    """The blob's name for a key, which may have ``room`` code units. Raises Unsupported."""
    name = f"{bucket}/{_escape_key(key)}"
    try:
        length = len(name.encode("utf-16-be")) // 2
    except UnicodeEncodeError as error:
        raise Unsupported("the key is no text") from error
    if length > room:
        raise KeyTooLong(f"it takes {length} characters in Azure, and has room for {room}")
    return name


def _escape_key(key: str) -> str:
    text = _IN_KEYS.sub(_escape, key)
    if text.count("/") >= SEGMENTS - 1 - _RESERVE:
        head = text.split("/", SEGMENTS - 1 - _RESERVE)
        text = "/".join(head[:-1]) + "/" + head[-1].replace("/", "_x002f_")
    return text


_RESERVE = 20
"""Segments that are left to the bucket and the prefix."""


def key_of(name: str) -> tuple[str, str] | None:
    """Bucket and key of a blob's name; ``None`` for a name that no key has."""
    bucket, slash, rest = name.partition("/")
    if not slash or not bucket or not rest or bucket == RESERVED:
        return None
    key = _unescape(rest)
    try:
        return (bucket, key) if name_of(bucket, key) == name else None
    except Unsupported:
        return None


def beginning(prefix: str) -> str:
    """What the escaped form of every key that begins with ``prefix`` begins with."""
    while (shorter := _UNDECIDED.sub("", prefix)) != prefix:
        prefix = shorter
    return _escape_key(prefix)


def order(name: str) -> bytes:
    """By what Azure orders names: UTF-16 code units."""
    return name.encode("utf-16-be", "surrogatepass")


# --- metadata ---------------------------------------------------------------------------------------


def metadata_out(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata as Azure can hold it: names are C# identifiers. Raises Unsupported."""
    escaped = {_IN_NAMES.sub(_escape, name): _value_out(value) for name, value in metadata.items()}
    if "" in escaped:
        raise Unsupported("a name of metadata is empty")
    if sum(len(name) + len(value) for name, value in escaped.items()) > METADATA_BYTES:
        raise Unsupported(f"the metadata takes more than {METADATA_BYTES} bytes in Azure")
    return escaped


def metadata_in(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata as the client gave it."""
    return {_unescape(name): decoded_word(value) for name, value in metadata.items()}


def _value_out(value: str) -> str:
    return value if _PLAIN_VALUE.fullmatch(value) and not is_word(value) else encoded_word(value)
