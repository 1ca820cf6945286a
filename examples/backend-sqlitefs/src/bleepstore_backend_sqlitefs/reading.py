"""One read: a row at a time, each compared with its checksum."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from bleepstore.storage import BlobReader, Damaged

from bleepstore_backend_sqlitefs.database import PIECE, Database


class SqliteFsReader(BlobReader):
    """A span of a blob. What is deleted meanwhile is ``Damaged`` at the next row."""

    def __init__(self, database: Database, name: str, blob: int, size: int, start: int, end: int) -> None:
        self._database = database
        self._name = name
        self._blob = blob
        self._size = size
        self._at = start
        self._end = end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""
        while self._at < self._end:
            n, skip = divmod(self._at, PIECE)
            data = await self._database.run(self._name, self._read, n)
            piece = data[skip : skip + self._end - self._at]
            if not piece:
                return  # it was closed meanwhile
            self._at += len(piece)
            yield piece

    def _read(self, n: int) -> bytes:
        row = self._database.one("SELECT crc, data FROM pieces WHERE blob = ? AND n = ?", self._blob, n)
        if row is None or len(row[1]) != min(PIECE, self._size - n * PIECE) or zlib.crc32(row[1]) != row[0]:
            raise Damaged(f"piece {n} of blob {self._name} is not what was written")
        data: bytes = row[1]
        return data

    async def close(self) -> None:
        """Nothing is kept open."""
        self._end = 0
