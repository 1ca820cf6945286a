"""Pages of keys: prefix, delimiter, and common prefixes that are sought past.

Keys are compared as UTF-8 bytes. Each common prefix costs one seek, however many keys are under it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any, TypeVar

from bleepstore.metadata import Listing, ObjectEntry, UploadRecord
from bleepstore.sqlite.records import UPLOAD_COLUMNS, upload_record

T = TypeVar("T")

_UPLOADS = (
    f"SELECT {UPLOAD_COLUMNS} FROM uploads u WHERE bucket_id = ? AND completed IS NULL "
    "AND key >= ? AND key < ? ORDER BY key, created, id"
)
# A block is one row of one JSON array a column. To step through its rows would give up the interpreter's
# lock at each of them, and under load it takes milliseconds to get it back.
_ENTRY = (
    "CAST(key AS TEXT)",
    "size",
    "etag",
    "modified",
    "owner",
    "version",
    # Storage class, checksum's algorithm and type: one look into the attributes for all three.
    "json_extract(attributes, '$[2]', '$[3][0]', '$[3][2]')",
)
_OBJECTS = (
    f"SELECT {', '.join(f'json_group_array({column})' for column in _ENTRY)} FROM (SELECT * FROM current "
    "WHERE bucket_id = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?)"
)
_KEY = "SELECT key FROM current WHERE bucket_id = ? AND key >= ? AND key < ? ORDER BY key LIMIT 1"
SMALL_BLOCK = 16
"""Objects that are read at once where the next one may be rolled up."""
_loads = json.JSONDecoder().decode
_LAST = b"\xff\xff\xff\xff"
"""Above every key: no UTF-8 has such a byte."""


def successor(prefix: bytes) -> bytes:
    """The least byte string above all that start with ``prefix``; UTF-8 has no byte 0xFF."""
    return prefix + b"\xff" if prefix else _LAST


def common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    """What a key is rolled up into, if it is."""
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if at < 0 else key[: at + len(delimiter)]


def objects_page(
    db: sqlite3.Connection, bucket: int, prefix: str, delimiter: str, after: str, limit: int
) -> Listing[ObjectEntry]:
    """Current objects and common prefixes after ``after``."""
    first, split, mark = prefix.encode(), delimiter.encode(), after.encode()
    end = successor(first)
    # The least key above another is that key and a zero byte.
    start = _start(first, split, mark, mark + b"\0")
    entries: list[ObjectEntry | str] = []
    # Where keys are rolled up, few of a block may count: it grows while none is.
    size = SMALL_BLOCK if split else limit + 1
    while True:
        if split:
            start = _roll_up(db, (bucket, end), first, split, start, entries, limit)
        asked = min(size, limit + 1 - len(entries))
        if asked <= 0:
            return Listing(entries=entries[:limit], truncated=True)
        block = _block(db, bucket, start, end, asked)
        plain = block
        if split:
            plain = list(takewhile(lambda entry: entry.key.find(delimiter, len(prefix)) < 0, block))
        entries += plain
        if len(plain) == len(block) < asked:
            return Listing(entries=entries[:limit], truncated=len(entries) > limit)
        start = plain[-1].key.encode() + b"\0"
        size = size * 4 if len(plain) == len(block) else SMALL_BLOCK


def _roll_up(
    db: sqlite3.Connection,
    within: tuple[int, bytes],
    prefix: bytes,
    delimiter: bytes,
    start: bytes,
    entries: list[ObjectEntry | str],
    limit: int,
) -> bytes:
    """Add the common prefixes that stand next, one seek each; returns where other keys begin."""
    bucket, end = within
    while len(entries) <= limit:
        row = db.execute(_KEY, (bucket, start, end)).fetchone()
        rolled = None if row is None else common_prefix(row[0], prefix, delimiter)
        if rolled is None:
            break
        entries.append(rolled.decode())
        start = successor(rolled)
    return start


def _block(db: sqlite3.Connection, bucket: int, start: bytes, end: bytes, size: int) -> list[ObjectEntry]:
    """The first ``size`` objects with keys from ``start`` up to ``end``."""
    *columns, said = map(_loads, db.execute(_OBJECTS, (bucket, start, end, size)).fetchone())
    return list(map(ObjectEntry._make, zip(*columns, *zip(*said, strict=True), strict=True)))


def uploads_page(
    db: sqlite3.Connection, bucket: int, prefix: str, delimiter: str, after: tuple[str, str], limit: int
) -> Listing[UploadRecord]:
    """Uploads in progress and common prefixes after (key, upload id)."""
    first, split, mark, upload = prefix.encode(), delimiter.encode(), after[0].encode(), after[1]
    end = successor(first)
    row = db.execute("SELECT created FROM uploads WHERE id = ?", (upload,)).fetchone()

    def follows(row: Any, created: int | None) -> bool:
        # An upload that is gone leaves its id: ids rise with time.
        return bool(row[0] > upload if created is None else (row[5], row[0]) > (created, upload))

    def rows(start: bytes) -> Iterator[Any]:
        for found in db.execute(_UPLOADS, (bucket, start, end)):
            if not upload or found[2] != mark or follows(found, row and row[0]):
                yield found

    start = _start(first, split, mark, mark if upload else mark + b"\0")
    return _page(rows, 2, upload_record, first, split, start, limit)


def _start(prefix: bytes, delimiter: bytes, mark: bytes, beyond: bytes) -> bytes:
    """Where a listing after ``mark`` begins: past all of it where it is a common prefix."""
    if not mark:
        return prefix
    if mark.startswith(prefix) and common_prefix(mark, prefix, delimiter) == mark:
        return successor(mark)
    return max(prefix, beyond)


def _page(
    rows: Callable[[bytes], Iterator[Any]],
    column: int,
    record: Callable[[Any], T],
    prefix: bytes,
    delimiter: bytes,
    start: bytes,
    limit: int,
) -> Listing[T]:
    """Fill a page. ``rows`` is read row by row, and begun anew past each common prefix."""
    entries: list[T | str] = []
    while True:
        for row in rows(start):
            if len(entries) >= limit:
                return Listing(entries=entries, truncated=True)
            rolled = common_prefix(row[column], prefix, delimiter)
            if rolled is not None:
                entries.append(rolled.decode())
                start = successor(rolled)
                break
            entries.append(record(row))
        else:
            return Listing(entries=entries, truncated=False)
