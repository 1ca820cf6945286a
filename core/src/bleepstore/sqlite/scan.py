"""Reads that go over everything, for ``scrub``: on a connection and in a thread of their own.

So neither requests nor listings wait for them. They go by pages, each a statement that ends: a
snapshot that is held for hours would keep every change since in the write-ahead log.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from bleepstore.metadata import Holder, InlineBlob, MetadataUnavailable
from bleepstore.sqlite.schema import connect
from bleepstore.storage import ENDINGS, Blob

T = TypeVar("T")

PAGE = 10_000
"""Rows that are read at once."""
INLINE_PAGE = 1000
"""Inline blobs that are read at once; their bytes one after the other."""

_NAMING: dict[str, dict[str, Any]] = {
    "segments": {"list": -1, "part": -1, "n": -1},
    "current": {"bucket_id": -1, "key": b""},
    "history": {"bucket_id": -1, "key": b"", "seq": -1},
}
"""Tables that name blobs, with primary keys below every row's."""
_SIZES = {"segments": "blob_size", "current": "size", "history": "size"}
_HOLDERS = """
    WITH wanted (blob) AS (SELECT value FROM json_each(?)),
         named (blob, list) AS (SELECT DISTINCT blob, list FROM segments WHERE blob IN wanted),
         holding (blob, bucket_id, key, version, upload) AS (
             SELECT blob, bucket_id, key, version, NULL FROM current WHERE blob IN wanted
             UNION ALL
             SELECT blob, bucket_id, key, version, NULL FROM history WHERE blob IN wanted
             UNION ALL
             SELECT n.blob, v.bucket_id, v.key, v.version, NULL
             FROM current v JOIN named n ON n.list = v.segments
             UNION ALL
             SELECT n.blob, v.bucket_id, v.key, v.version, NULL
             FROM history v JOIN named n ON n.list = v.segments
             UNION ALL
             SELECT n.blob, u.bucket_id, u.key, NULL, u.id FROM uploads u JOIN named n ON n.list = u.segments
             WHERE u.completed IS NULL)
    SELECT h.blob, b.name, h.key, h.version, h.upload FROM holding h JOIN buckets b ON b.id = h.bucket_id
    ORDER BY h.blob, b.name, h.key"""


class Scan:
    """The connection, which is opened with the first read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bleepstore-scan")

    async def close(self) -> None:
        """Break off what is being read. Idempotent."""
        if self._connection is not None:
            self._connection.interrupt()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: self._thread.shutdown(cancel_futures=True))
        if self._connection is not None:
            self._connection.close()

    async def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            if self._connection is None:
                self._connection = connect(self._path, read_only=True)
            return read(self._connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except sqlite3.Error as error:
            raise MetadataUnavailable(f"the metadata cannot be read: {error}") from error

    async def blobs(self, endings: range) -> AsyncIterator[Blob]:
        """Every blob in the backend that a row names."""
        for table, size in _SIZES.items():
            where = "NOT t.inline AND t.blob IS NOT NULL"
            async for name, length, token in self._rows(table, f"t.blob, t.{size}, t.token", where, endings):
                yield Blob(name=name, size=length, token=token)

    async def inline_blobs(self, endings: range) -> AsyncIterator[InlineBlob]:
        """Every inline blob with its bytes checked, and those that are not there."""
        where, bounds = _slice(endings)
        query = (
            f"SELECT t.blob, t.crc, t.data FROM inline t WHERE t.blob > ? AND {where} "
            f"ORDER BY t.blob LIMIT {INLINE_PAGE}"
        )
        after = ""

        def check(db: sqlite3.Connection) -> list[InlineBlob]:
            rows = db.execute(query, (after, *bounds))
            return [InlineBlob(name=n, size=len(d), whole=zlib.crc32(d) == crc) for n, crc, d in rows]

        while found := await self._read(check):
            for blob in found:
                yield blob
            after = found[-1].name
        absent = "t.inline AND NOT EXISTS (SELECT 1 FROM inline i WHERE i.blob = t.blob)"
        for table, size in _SIZES.items():
            async for name, length in self._rows(table, f"t.blob, t.{size}", absent, endings):
                yield InlineBlob(name=name, size=length, whole=False)

    async def _rows(self, table: str, columns: str, where: str, endings: range) -> AsyncIterator[Any]:
        """Rows of a table that names blobs, by pages of its primary key."""
        key = _NAMING[table]
        names, marks = ", ".join(f"t.{name}" for name in key), ", ".join("?" * len(key))
        ending, bounds = _slice(endings)
        query = (
            f"SELECT {columns}, {names} FROM {table} t WHERE ({names}) > ({marks}) AND {where} AND {ending} "
            f"ORDER BY {names} LIMIT {PAGE}"
        )
        after: tuple[Any, ...] = tuple(key.values())

        def page(db: sqlite3.Connection) -> list[Any]:
            return db.execute(query, (*after, *bounds)).fetchall()

        while rows := await self._read(page):
            for row in rows:
                yield row[: -len(key)]
            after = rows[-1][-len(key) :]

    async def holders(self, blobs: Sequence[str]) -> Sequence[Holder]:
        """What names these blobs, in one statement: a blob that goes from row to row is in it."""
        rows = await self._read(lambda db: db.execute(_HOLDERS, (json.dumps(list(blobs)),)).fetchall())
        return [
            Holder(blob=blob, bucket=bucket, key=key.decode(), version=version, upload=upload)
            for blob, bucket, key, version, upload in rows
        ]


def _slice(endings: range) -> tuple[str, tuple[str, ...]]:
    """The condition for names that end so, and its values."""
    if endings == ENDINGS:
        return "TRUE", ()
    return "substr(t.blob, -2) BETWEEN ? AND ?", (f"{endings.start:02x}", f"{endings.stop - 1:02x}")
