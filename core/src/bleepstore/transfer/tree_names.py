"""Names of files for keys: ``BUCKET/KEY`` where that is a path, and else an escaped name.

::

    TREE/
      .bleepstore-export.jsonl        what a file system cannot say of objects (``tree_index``)
      .bleepstore-partial-...         a file that is being written
      BUCKET/
        a/b.txt                       the object a/b.txt
        .bleepstore-escaped/a%2F      the object a/

An escaped name is the whole key, percent-encoded but for letters, digits, ``-``, ``_`` and ``~``, in
segments of 200 characters of which all but the last end in ``+``. Where file systems take ``A`` for
``a``, upper-case letters are encoded too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

INDEX = ".bleepstore-export.jsonl"
ESCAPED = ".bleepstore-escaped"
PARTIAL = ".bleepstore-partial-"
OURS = ".bleepstore-"
SEGMENT = 255
"""Bytes of a file's name."""
CHUNK = 200

_UPPER = re.compile(r"%[0-9A-F]{2}|[A-Z]")
_NOT_ON_WINDOWS = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')


def why_not(key: str) -> str | None:
    """Why a key cannot be a path as it is."""
    segments = key.split("/")
    if "" in segments:
        return "it begins or ends with a slash, or has two together"
    if "." in segments or ".." in segments:
        return "it has a segment of dots"
    if "\0" in key:
        return "it has a NUL"
    if segments[0].startswith(OURS):
        return f"names that begin with {OURS} are used by the export"
    if any(len(segment.encode()) > SEGMENT for segment in segments):
        return f"it has a segment of more than {SEGMENT} bytes"
    if os.name == "nt" and any(map(_NOT_ON_WINDOWS.search, segments)):
        return "it has characters that this system does not allow"
    return None


def escaped(key: str, *, caseless: bool = False) -> str:
    """The path below the bucket's folder of a key that cannot be one itself.

    ``caseless``: no two of them differ in the case of letters alone.
    """
    text = quote(key, safe="").replace(".", "%2E")
    if caseless:  # what follows a percent sign is upper-case in every name
        text = _UPPER.sub(lambda found: f"%{ord(found[0]):02X}" if len(found[0]) == 1 else found[0], text)
    chunks = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    return "/".join([ESCAPED, *(f"{chunk}+" for chunk in chunks[:-1]), chunks[-1]])


def key_of(segments: Sequence[str]) -> str | None:
    """The key of a file by its path below the bucket's folder; ``None`` for one that is no object's."""
    if segments[0] != ESCAPED:
        return None if segments[0].startswith(OURS) else "/".join(segments)
    try:
        key = unquote("".join(segment.removesuffix("+") for segment in segments[1:]), errors="strict")
    except UnicodeDecodeError:
        return None
    return key if key and "/".join(segments) in escapes(key) else None


def escapes(key: str) -> tuple[str, str]:
    """Both escaped names of a key."""
    return escaped(key), escaped(key, caseless=True)
