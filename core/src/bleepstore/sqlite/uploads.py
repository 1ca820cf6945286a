"""Multipart uploads in ``apply``: a list of parts that becomes an object.

An upload has a list in ``segments`` from its beginning, and completing it adopts that list: only
the parts that are left out are touched one by one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bleepstore import commands as c
from bleepstore.metadata import Checksum, Committed, Reason, Refused, UploadRecord
from bleepstore.sqlite.records import UPLOAD_COLUMNS, dump_attributes, dump_checksum, upload_record
from bleepstore.sqlite.references import Span, add_segments, drop_bytes, drop_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a completed upload gives its object, as a command gives it to others."""

    bucket: int
    at: int
    etag: str
    owner: str
    acl: bytes | None
    tags: bytes | None


def create(connection: sqlite3.Connection, seq: int, command: c.CreateUpload) -> UploadRecord:
    """Begin an upload, whose list is ``seq``."""
    connection.execute(
        "INSERT INTO uploads (id, bucket_id, key, owner, initiator, created, attributes, algorithm, "
        "checksum_type, generation, segments, acl, tags, handle) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)",
        (
            command.upload,
            command.bucket,
            command.key.encode(),
            command.owner,
            command.initiator,
            command.at,
            dump_attributes(command.attributes),
            command.algorithm,
            command.checksum_type,
            seq,
            command.acl,
            command.tags,
            command.handle,
        ),
    )
    return find(connection, command.bucket, command.key, command.upload)


def find(connection: sqlite3.Connection, bucket: int, key: str, upload: str) -> UploadRecord:
    """An upload, a completed one too. Raises Refused NO_SUCH_UPLOAD."""
    row = connection.execute(
        f"SELECT {UPLOAD_COLUMNS} FROM uploads u WHERE id = ? AND bucket_id = ? AND key = ?",
        (upload, bucket, key.encode()),
    ).fetchone()
    if row is None:
        raise Refused(Reason.NO_SUCH_UPLOAD)
    return upload_record(row)


def pending(connection: sqlite3.Connection, bucket: int, key: str, upload: str) -> UploadRecord:
    """An upload that takes parts. Raises Refused NO_SUCH_UPLOAD."""
    found = find(connection, bucket, key, upload)
    if found.completed is not None:
        raise Refused(Reason.NO_SUCH_UPLOAD)
    return found


def whole(content: c.Content) -> list[Span]:
    """The one span of a part that came with its own blob."""
    if content.blob is None:
        return []
    return [Span(content.blob, content.size, content.token, int(content.data is not None), 0, content.size)]


def put_part(
    connection: sqlite3.Connection,
    seq: int,
    upload: UploadRecord,
    command: c.CommitPart | c.CopyPart,
    size: int,
    found: Sequence[Span],
) -> Committed:
    """Add or replace a part whose spans are shared already."""
    drop_part(connection, seq, upload.segments, command.number)
    add_segments(connection, upload.segments, command.number, found)
    connection.execute(
        "INSERT INTO parts (list, number, size, etag, modified, checksum) VALUES (?, ?, ?, ?, ?, ?)",
        (upload.segments, command.number, size, command.etag, command.at, dump_checksum(command.checksum)),
    )
    connection.execute("UPDATE uploads SET generation = generation + 1 WHERE id = ?", (upload.id,))
    return Committed(seq=seq, etag=command.etag, size=size, modified=command.at, checksum=command.checksum)


def adopt(
    connection: sqlite3.Connection, seq: int, upload: UploadRecord, runs: Sequence[tuple[int, int]]
) -> int:
    """Drop the parts outside ``runs``, and number the bytes of the others. Returns how many are left."""
    segments = upload.segments
    numbers = [n for (n,) in connection.execute("SELECT number FROM parts WHERE list = ?", (segments,))]
    kept = {number for first, last in runs for number in range(first, last + 1)}
    for number in numbers:
        if number not in kept:
            drop_part(connection, seq, segments, number)
    _renumber(connection, segments, sorted(kept.intersection(numbers)))
    connection.execute(
        "UPDATE segments SET start = placed.start FROM (SELECT part, n, "
        "sum(length) OVER (ORDER BY part, n) - length AS start FROM segments WHERE list = ?1) AS placed "
        "WHERE list = ?1 AND segments.part = placed.part AND segments.n = placed.n",
        (segments,),
    )
    return len(kept)


def replace_parts(
    connection: sqlite3.Connection, seq: int, upload: UploadRecord, runs: Sequence[tuple[int, int]]
) -> int:
    """Drop the bytes of all parts, as the object has its own; what is known of those in ``runs`` stays.

    Returns how many these are.
    """
    segments = upload.segments
    numbers = [n for (n,) in connection.execute("SELECT number FROM parts WHERE list = ?", (segments,))]
    kept = {number for first, last in runs for number in range(first, last + 1)}.intersection(numbers)
    drop_bytes(connection, seq, segments)
    dropped = [(segments, number) for number in numbers if number not in kept]
    connection.executemany("DELETE FROM parts WHERE list = ? AND number = ?", dropped)
    _renumber(connection, segments, sorted(kept))
    return len(kept)


def _renumber(connection: sqlite3.Connection, segments: int, numbers: Sequence[int]) -> None:
    """The parts of an object are 1 to N, whatever gaps the upload left: clients read them so."""
    moved = [(new, segments, old) for new, old in enumerate(numbers, 1) if new != old]
    # In rising order a number that is taken has been moved away already.
    connection.executemany("UPDATE segments SET part = ? WHERE list = ? AND part = ?", moved)
    connection.executemany("UPDATE parts SET number = ? WHERE list = ? AND number = ?", moved)


def attributes(upload: UploadRecord, checksum: Checksum | None) -> str:
    """What the object keeps of what CreateMultipartUpload said."""
    return dump_attributes(replace(upload.attributes, checksum=checksum))
