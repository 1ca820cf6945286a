"""Reads: point reads on the loop's own connection, what can be long in a thread of its own.

A point read costs 5 us, and a hop to a thread many times that. A listing page is one hop: with a
delimiter it seeks past each common prefix, so that it costs what the page holds.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from bleepstore.events import Event
from bleepstore.metadata import (
    BucketRecord,
    Garbage,
    Intent,
    Listing,
    MetadataUnavailable,
    ObjectEntry,
    ObjectRecord,
    PartRecord,
    Segment,
    UploadRecord,
)
from bleepstore.sqlite.listing import objects_page, uploads_page
from bleepstore.sqlite.records import (
    BUCKET_COLUMNS,
    GARBAGE_COLUMNS,
    INTENT_COLUMNS,
    OBJECT_COLUMNS,
    PART_COLUMNS,
    UPLOAD_COLUMNS,
    bucket_record,
    garbage_record,
    intent_record,
    object_record,
    part_record,
    upload_record,
)
from bleepstore.sqlite.references import segment_spans
from bleepstore.sqlite.schema import connect
from bleepstore.storage import Blob, Damaged

T = TypeVar("T")

_OBJECT = (
    f"SELECT {BUCKET_COLUMNS}, {OBJECT_COLUMNS} FROM buckets b "
    "LEFT JOIN current c ON c.bucket_id = b.id AND c.key = ? WHERE b.name = ?"
)
_OBJECT_DATA = (
    f"SELECT {BUCKET_COLUMNS}, {OBJECT_COLUMNS}, i.crc, i.data FROM buckets b "
    "LEFT JOIN current c ON c.bucket_id = b.id AND c.key = ? "
    "LEFT JOIN inline i ON c.inline AND i.blob = c.blob WHERE b.name = ?"
)
_BUCKET = f"SELECT {BUCKET_COLUMNS} FROM buckets b WHERE name = ?"
_UPLOAD = (
    f"SELECT {BUCKET_COLUMNS}, {UPLOAD_COLUMNS} FROM buckets b "
    "LEFT JOIN uploads u ON u.id = ? AND u.bucket_id = b.id AND u.key = ? WHERE b.name = ?"
)
_INTENTS = f"SELECT {INTENT_COLUMNS} FROM intents i JOIN buckets b ON b.id = i.bucket_id"
_BUCKET_WIDTH = len(BUCKET_COLUMNS.split(", "))
_OBJECT_END = _BUCKET_WIDTH + len(OBJECT_COLUMNS.split(", "))
_INLINE = _BUCKET_WIDTH + OBJECT_COLUMNS.split(", ").index("c.inline")


class Reader:
    """The reading connections of one process."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path, read_only=True)
        self._long = connect(path, read_only=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bleepstore-reader")

    def close(self) -> None:
        """Close the connections, after long reads under way. Idempotent."""
        self._thread.shutdown()
        self._long.close()
        self._connection.close()

    async def long(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read that can be long, in the thread."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, read, self._long)
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def _one(self, sql: str, values: tuple[Any, ...]) -> Any:
        try:
            return self._connection.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    # --- point reads ------------------------------------------------------------------------------------

    def bucket(self, name: str) -> BucketRecord | None:
        """One bucket."""
        row = self._one(_BUCKET, (name,))
        return None if row is None else bucket_record(row)

    def bucket_document(self, bucket: int, name: str) -> bytes | None:
        """One sub-resource."""
        row = self._one("SELECT body FROM bucket_documents WHERE bucket_id = ? AND name = ?", (bucket, name))
        return None if row is None else row[0]

    def object(self, bucket: str, key: str, *, data: bool) -> tuple[BucketRecord | None, ObjectRecord | None]:
        """Bucket and object in one SELECT. Raises Damaged where inline bytes are not what was written."""
        row = self._one(_OBJECT_DATA if data else _OBJECT, (key.encode(), bucket))
        if row is None:
            return None, None
        found = bucket_record(row[:_BUCKET_WIDTH])
        if row[_BUCKET_WIDTH] is None:
            return found, None
        content = None
        if data and row[_INLINE] == 1:
            content = _checked(row[_OBJECT_END], row[_OBJECT_END + 1], key)
        return found, object_record(row[_BUCKET_WIDTH:_OBJECT_END], content)

    def inline(self, blob: str) -> bytes | None:
        """The bytes of an inline blob."""
        row = self._one("SELECT crc, data FROM inline WHERE blob = ?", (blob,))
        return None if row is None else _checked(row[0], row[1], blob)

    def upload(self, bucket: str, key: str, upload: str) -> tuple[BucketRecord | None, UploadRecord | None]:
        """Bucket and upload."""
        row = self._one(_UPLOAD, (upload, key.encode(), bucket))
        if row is None:
            return None, None
        found = bucket_record(row[:_BUCKET_WIDTH])
        return found, None if row[_BUCKET_WIDTH] is None else upload_record(row[_BUCKET_WIDTH:])

    def intent(self, bucket: int, key: str) -> Intent | None:
        """The intent on a key."""
        row = self._one(f"{_INTENTS} WHERE i.bucket_id = ? AND i.key = ?", (bucket, key.encode()))
        return None if row is None else intent_record(row)

    # --- long reads -------------------------------------------------------------------------------------

    async def list_buckets(self, owner: str, prefix: str, after: str, limit: int) -> Listing[BucketRecord]:
        """A page of an owner's buckets."""

        def read(db: sqlite3.Connection) -> list[Any]:
            return db.execute(
                # Names are ASCII: those with the prefix are below it and the last code point.
                f"SELECT {BUCKET_COLUMNS} FROM buckets b WHERE owner = ?1 AND name > ?2 "
                "AND name >= ?3 AND name < ?3 || char(0x10FFFF) ORDER BY name LIMIT ?4",
                (owner, after, prefix, limit + 1),
            ).fetchall()

        rows = await self.long(read)
        return Listing(entries=[bucket_record(row) for row in rows[:limit]], truncated=len(rows) > limit)

    async def all_buckets(self, after: str, limit: int) -> Listing[BucketRecord]:
        """A page of everybody's buckets."""

        def read(db: sqlite3.Connection) -> list[Any]:
            sql = f"SELECT {BUCKET_COLUMNS} FROM buckets b WHERE name > ? ORDER BY name LIMIT ?"
            return db.execute(sql, (after, limit + 1)).fetchall()

        rows = await self.long(read)
        return Listing(entries=[bucket_record(row) for row in rows[:limit]], truncated=len(rows) > limit)

    async def list_objects(
        self, bucket: int, prefix: str, delimiter: str, after: str, limit: int
    ) -> Listing[ObjectEntry]:
        """A page of current objects and common prefixes."""
        return await self.long(lambda db: objects_page(db, bucket, prefix, delimiter, after, limit))

    async def list_uploads(
        self, bucket: int, prefix: str, delimiter: str, after: tuple[str, str], limit: int
    ) -> Listing[UploadRecord]:
        """A page of uploads in progress and common prefixes."""
        return await self.long(lambda db: uploads_page(db, bucket, prefix, delimiter, after, limit))

    async def segments(self, segments: int, start: int, length: int) -> Sequence[Segment]:
        """The segments of a span."""
        spans = await self.long(lambda db: segment_spans(db, segments, start, start + length))
        return [
            Segment(
                blob=span.blob,
                blob_size=span.blob_size,
                offset=span.offset,
                length=span.length,
                inline=span.inline == 1,
                token=span.token,
            )
            for span in spans
        ]

    async def parts(self, segments: int, after: int, limit: int) -> Sequence[PartRecord]:
        """The parts of a list."""

        def read(db: sqlite3.Connection) -> list[Any]:
            return db.execute(
                f"SELECT {PART_COLUMNS} FROM parts WHERE list = ? AND number > ? ORDER BY number LIMIT ?",
                (segments, after, limit),
            ).fetchall()

        return [part_record(row) for row in await self.long(read)]

    async def part_blobs(self, segments: int) -> Mapping[int, Blob]:
        """The blobs of an unfinished upload's parts."""
        rows = await self.long(
            lambda db: db.execute(
                "SELECT part, blob, blob_size, token FROM segments WHERE list = ? "
                "GROUP BY part HAVING count(*) = 1",
                (segments,),
            ).fetchall()
        )
        return {part: Blob(name=blob, size=size, token=token) for part, blob, size, token in rows}

    # --- upkeep -----------------------------------------------------------------------------------------

    async def garbage(self, oldest: int, limit: int, after: tuple[int, str]) -> Sequence[Garbage]:
        """Garbage up to the oldest state that is read."""
        rows = await self.long(
            lambda db: db.execute(
                f"SELECT {GARBAGE_COLUMNS} FROM garbage WHERE seq <= ? AND (seq, blob) > (?, ?) "
                "ORDER BY seq, blob LIMIT ?",
                (oldest, *after, limit),
            ).fetchall()
        )
        return [garbage_record(row) for row in rows]

    async def intents(self, limit: int, after: tuple[int, str]) -> Sequence[Intent]:
        """Intents by key."""
        bucket, key = after
        rows = await self.long(
            lambda db: db.execute(
                f"{_INTENTS} WHERE (i.bucket_id, i.key) > (?, ?) ORDER BY i.bucket_id, i.key LIMIT ?",
                (bucket, key.encode(), limit),
            ).fetchall()
        )
        return [intent_record(row) for row in rows]

    async def known(self, blobs: Sequence[str]) -> set[str]:
        """Which blobs any row names. Scans."""

        def read(db: sqlite3.Connection) -> set[str]:
            query = " UNION ".join(
                f"SELECT blob FROM {table} WHERE blob IN (SELECT value FROM json_each(?1))"
                for table in ("garbage", "segments", "current", "history")
            )
            # One statement sees one state: a blob that goes from table to table is in it.
            return {blob for (blob,) in db.execute(query, (json.dumps(list(blobs)),))}

        return await self.long(read) if blobs else set()

    async def expired_uploads(self, before: int, limit: int) -> Sequence[UploadRecord]:
        """Uploads from before a time."""
        rows = await self.long(
            lambda db: db.execute(
                f"SELECT {UPLOAD_COLUMNS} FROM uploads u WHERE created < ? ORDER BY created LIMIT ?",
                (before, limit),
            ).fetchall()
        )
        return [upload_record(row) for row in rows]

    async def events(self, sink: str, limit: int) -> Sequence[Event]:
        """Events that a sink has not taken."""
        rows = await self.long(
            lambda db: db.execute(
                "SELECT seq, name, bucket, key, size, etag, at FROM events "
                "WHERE seq > (SELECT cursor FROM sinks WHERE name = ?) ORDER BY seq LIMIT ?",
                (sink, limit),
            ).fetchall()
        )
        return [
            Event(seq=seq, name=name, bucket=bucket, key=key.decode(), size=size, etag=etag, at=at)
            for seq, name, bucket, key, size, etag, at in rows
        ]


def _checked(crc: int | None, data: bytes | None, name: str) -> bytes:
    if data is None or zlib.crc32(data) != crc:
        raise Damaged(f"the inline bytes of {name} are not what was written")
    return data


def _unavailable(error: sqlite3.Error) -> MetadataUnavailable:
    return MetadataUnavailable(f"the metadata cannot be read: {error}")
