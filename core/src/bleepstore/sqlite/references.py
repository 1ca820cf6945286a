"""Who names which blob: sharing, releasing, and the garbage that is left.

A blob that one row names has no row of its own in ``blobs``; sharing makes one, with the number of
rows that name it, and releasing down to one removes it. The last release records the blob as garbage
under the sequence number of the command; but the inline bytes of a version that is one blob go at once,
because whoever reads those has them in one read. A list is read for longer.

A blob with a token is an object of native layout, or a part that goes with its upload: replacing and
deleting it upstream is part of the write itself, so that it is never shared and never garbage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

INLINE, STORED = 1, 0
"""Kinds of blobs."""


class Span(NamedTuple):
    """A span of a blob, as a segment has it."""

    blob: str
    blob_size: int
    token: str | None
    inline: int
    offset: int
    length: int


def share(connection: sqlite3.Connection, span: Span) -> None:
    """One more row names the blob."""
    connection.execute(
        "INSERT INTO blobs (id, size, kind, refs) VALUES (?, ?, ?, 2) "
        "ON CONFLICT (id) DO UPDATE SET refs = refs + 1",
        (span.blob, span.blob_size, INLINE if span.inline else STORED),
    )


def release(connection: sqlite3.Connection, seq: int, blob: str, token: str | None, inline: int) -> None:
    """One row less names the blob; ``inline``: its bytes are in the database and go at once."""
    row = connection.execute("SELECT refs FROM blobs WHERE id = ?", (blob,)).fetchone()
    if row is not None:
        if row[0] > 2:
            connection.execute("UPDATE blobs SET refs = refs - 1 WHERE id = ?", (blob,))
        else:
            connection.execute("DELETE FROM blobs WHERE id = ?", (blob,))
    elif inline:
        connection.execute("DELETE FROM inline WHERE blob = ?", (blob,))
    elif token is None:
        connection.execute("INSERT INTO garbage (seq, blob) VALUES (?, ?)", (seq, blob))


def spans(
    connection: sqlite3.Connection, row: CurrentRow, start: int = 0, length: int | None = None
) -> list[Span]:
    """The spans that make ``length`` bytes from ``start`` of a version (all of it by default)."""
    end = row.size if length is None else start + length
    if row.segments is None or row.blob is not None:
        if row.blob is None or end <= start:
            return []
        return [Span(row.blob, row.size, row.token, row.inline, start, end - start)]
    return segment_spans(connection, row.segments, start, end)


def segment_spans(connection: sqlite3.Connection, segments: int, start: int, end: int) -> list[Span]:
    """The spans of a finished list that cover bytes ``start`` to ``end``, clipped to them."""
    if end <= start:
        return []
    rows = connection.execute(
        "SELECT blob, blob_size, token, inline, offset, length, start FROM segments "
        "WHERE list = ?1 AND start < ?3 AND start >= "
        "(SELECT max(start) FROM segments WHERE list = ?1 AND start <= ?2) ORDER BY start",
        (segments, start, end),
    )
    found = []
    for blob, blob_size, token, inline, offset, length, at in rows:
        skip = max(start - at, 0)
        found.append(Span(blob, blob_size, token, inline, offset + skip, min(length, end - at) - skip))
    return found


def add_segments(
    connection: sqlite3.Connection, segments: int, part: int, found: Iterable[Span], start: int | None = None
) -> None:
    """Append spans to a list as ``part``; ``start`` where the list is finished with it."""
    for n, span in enumerate(found):
        connection.execute(
            "INSERT INTO segments (list, part, n, blob, blob_size, token, inline, offset, length, start) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (segments, part, n, *span, start),
        )
        if start is not None:
            start += span.length


def drop_part(connection: sqlite3.Connection, seq: int, segments: int, number: int) -> None:
    """Release and remove one part of a list."""
    rows = connection.execute(
        "SELECT blob, token FROM segments WHERE list = ? AND part = ?", (segments, number)
    ).fetchall()
    for blob, token in rows:
        release(connection, seq, blob, token, STORED)
    connection.execute("DELETE FROM segments WHERE list = ? AND part = ?", (segments, number))
    connection.execute("DELETE FROM parts WHERE list = ? AND number = ?", (segments, number))


def drop_list(connection: sqlite3.Connection, seq: int, segments: int) -> None:
    """Release and remove a whole list."""
    drop_bytes(connection, seq, segments)
    connection.execute("DELETE FROM parts WHERE list = ?", (segments,))


def drop_bytes(connection: sqlite3.Connection, seq: int, segments: int) -> None:
    """Release and remove the spans of a list; what is known of its parts stays."""
    # What nobody shares goes by one statement: a list can have 10,000 parts.
    connection.execute(
        "INSERT INTO garbage (seq, blob) SELECT ?, blob FROM segments "
        "WHERE list = ? AND token IS NULL AND blob NOT IN (SELECT id FROM blobs)",
        (seq, segments),
    )
    shared = connection.execute(
        "SELECT blob, s.token FROM segments s JOIN blobs b ON b.id = s.blob WHERE s.list = ?",
        (segments,),
    ).fetchall()
    for blob, token in shared:
        release(connection, seq, blob, token, STORED)
    connection.execute("DELETE FROM segments WHERE list = ?", (segments,))


def drop_upload(
    connection: sqlite3.Connection, seq: int, upload: str, handle: str | None, bucket: str, key: bytes
) -> None:
    """What the backend keeps of an upload of native layout is garbage."""
    if handle is not None:
        connection.execute(
            "INSERT INTO garbage (seq, blob, handle, bucket, key) VALUES (?, ?, ?, ?, ?)",
            (seq, upload, handle, bucket, key),
        )


class CurrentRow(NamedTuple):
    """What ``apply`` looks at of a current version."""

    seq: int
    etag: str
    size: int
    modified: int
    blob: str | None
    token: str | None
    inline: int
    segments: int | None


CURRENT_COLUMNS = "seq, etag, size, modified, blob, token, inline, segments"


def drop_version(connection: sqlite3.Connection, seq: int, row: CurrentRow) -> None:
    """Release the bytes of a version whose row goes."""
    if row.segments is not None:
        drop_list(connection, seq, row.segments)
    if row.blob is not None:
        release(connection, seq, row.blob, row.token, row.inline)
