"""Pages of keys: prefix, delimiter, and common prefixes that are sought past.

Keys are compared as UTF-8 bytes. Each common prefix costs one seek, however many keys are under it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from bleepstore.metadata import Listing, ObjectRecord, UploadRecord
from bleepstore.sqlite.records import OBJECT_COLUMNS, UPLOAD_COLUMNS, object_record, upload_record

T = TypeVar("T")

_UPLOADS = (
    f"SELECT {UPLOAD_COLUMNS} FROM uploads u WHERE bucket_id = ? AND completed IS NULL "
    "AND key >= ? AND key < ? ORDER BY key, created, id"
)
_OBJECTS = f"SELECT {OBJECT_COLUMNS} FROM current c WHERE bucket_id = ? AND key >= ? AND key < ? ORDER BY key"
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
) -> Listing[ObjectRecord]:
    """Current objects and common prefixes after ``after``."""
    first, split, mark = prefix.encode(), delimiter.encode(), after.encode()
    end = successor(first)

    def rows(start: bytes) -> Iterator[Any]:
        return db.execute(_OBJECTS, (bucket, start, end))

    # The least key above another is that key and a zero byte.
    start = _start(first, split, mark, mark + b"\0")
    return _page(rows, 1, object_record, first, split, start, limit)


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
