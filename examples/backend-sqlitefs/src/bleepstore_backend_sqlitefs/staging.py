"""One write: rows that no read finds, until one transaction publishes them."""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING

from bleepstore.storage import BackendFailed, Blob, Buffer, StagedBlob, StorageFault

from bleepstore_backend_sqlitefs.database import PIECE, PUBLISHED, SETTLED, WRITTEN

if TYPE_CHECKING:
    from bleepstore_backend_sqlitefs.backend import SqliteFsBackend


class SqliteFsStaged(StagedBlob):
    """A write of one blob."""

    def __init__(self, backend: SqliteFsBackend, name: str) -> None:
        self.name = name
        self._backend = backend
        self._database = backend.database
        self._id: int | None = None
        self._rest = bytearray()
        self._pieces = 0
        self._size = 0

    async def write(self, data: Buffer) -> None:
        """Append: whole pieces become rows, and less than one is kept."""
        self._rest += data
        if len(self._rest) >= PIECE:
            await self._database.run(self.name, self._store, PIECE)

    def _store(self, least: int) -> None:
        """Make rows of what is kept, of ``least`` bytes each. In the thread."""
        whole = memoryview(bytes(self._rest))
        at = 0
        with self._database.transaction() as connection:
            if self._id is None:
                insert = "INSERT INTO blobs(name, state, process) VALUES (?, ?, ?)"
                process = self._backend.processes.name
                self._id = connection.execute(insert, (self.name, WRITTEN, process)).lastrowid
            while at < len(whole) and len(whole) - at >= least:
                piece = whole[at : at + PIECE]
                row = (self._id, self._pieces, zlib.crc32(piece), piece)
                connection.execute("INSERT INTO pieces VALUES (?, ?, ?, ?)", row)
                self._pieces += 1
                at += len(piece)
        self._size += at
        del self._rest[:at]

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Make it readable, and durable with all its pieces."""
        await self._database.run(self.name, self._publish)
        return Blob(name=self.name, size=self._size)

    def _publish(self) -> None:
        self._store(1)
        with self._database.transaction(sync=True) as connection:
            update = "UPDATE blobs SET state = ?, size = ? WHERE id = ? AND state = ?"
            done = connection.execute(update, (PUBLISHED, self._size, self._id, WRITTEN))
            if done.rowcount != 1:
                raise BackendFailed(f"{self.name}: somebody has removed it")

    async def settle(self) -> None:
        """Its fate is decided: nobody asks for its process any more."""
        with contextlib.suppress(StorageFault):
            await self._database.run(self.name, self._settle)

    def _settle(self) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE blobs SET state = ? WHERE id = ?", (SETTLED, self._id))

    async def discard(self) -> None:
        """Remove it. What fails now is found by ``abandoned`` of another process."""
        self._rest.clear()
        with contextlib.suppress(StorageFault):
            await self._database.run(self.name, self._discard)

    def _discard(self) -> None:
        if self._id is not None:
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM pieces WHERE blob = ?", (self._id,))
                connection.execute("DELETE FROM blobs WHERE id = ?", (self._id,))
