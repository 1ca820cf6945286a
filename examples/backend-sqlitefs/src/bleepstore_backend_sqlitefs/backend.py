"""Blobs as rows of one SQLite file: see ``database`` for its tables."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from pathlib import Path

from bleepstore.storage import (
    Aside,
    Blob,
    BlobMissing,
    BlobReader,
    Capabilities,
    Damaged,
    Layout,
    StagedBlob,
    StorageBackend,
    StoreMismatch,
    Target,
)

from bleepstore_backend_sqlitefs.database import PUBLISHED, SETTLED, Database
from bleepstore_backend_sqlitefs.processes import Processes
from bleepstore_backend_sqlitefs.reading import SqliteFsReader
from bleepstore_backend_sqlitefs.staging import SqliteFsStaged


class SqliteFsBackend(StorageBackend):
    """A :class:`~bleepstore.storage.StorageBackend` over one file."""

    capabilities = Capabilities(layout=Layout.OPAQUE, inline=True, scrub=True)

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self.database = Database(path, durable=durable)
        self.processes = Processes(path)

    # --- the store --------------------------------------------------------------------------------------

    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Open the file, and take or compare the store id."""
        await self.database.run(str(self.path), self._start, store_id, fresh)

    def _start(self, store_id: str, fresh: bool) -> None:
        if not fresh and not self.path.exists():
            raise StoreMismatch(f"{self.path}: does not exist, and the metadata has objects")
        self.database.open()
        with self.database.transaction(sync=True) as connection:
            found = self.database.one("SELECT id FROM store")
            if found is None and fresh and not self.database.one("SELECT 1 FROM blobs"):
                connection.execute("INSERT INTO store VALUES (?)", (store_id,))
                found = (store_id,)
        if found is None or found[0] != store_id:
            owner = found[0] if found else "none"
            raise StoreMismatch(f"{self.path}: belongs to store {owner}, not to {store_id}")
        self.processes.enter()

    async def stop(self) -> None:
        """Close the file."""
        self.database.close()
        self.processes.leave()

    # --- blobs ------------------------------------------------------------------------------------------

    async def stage(self, name: str, *, size: int | None = None, target: Target | None = None) -> StagedBlob:
        """Begin a write."""
        return SqliteFsStaged(self, name)

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a span."""
        query = "SELECT id, size FROM blobs WHERE name = ? AND state >= ?"
        row = await self.database.run(blob.name, self.database.one, query, blob.name, PUBLISHED)
        if row is None:
            raise BlobMissing(blob.name)
        if row[1] != blob.size:
            raise Damaged(f"blob {blob.name} has {row[1]} bytes, not {blob.size}")
        end = blob.size if length is None else min(start + length, blob.size)
        return SqliteFsReader(self.database, blob.name, row[0], blob.size, start, end)

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove a blob."""
        await self.database.run(name, self._delete, name)

    def _delete(self, name: str) -> None:
        with self.database.transaction() as connection:
            connection.execute(
                "DELETE FROM pieces WHERE blob IN (SELECT id FROM blobs WHERE name = ?)", (name,)
            )
            connection.execute("DELETE FROM blobs WHERE name = ?", (name,))

    # --- what dead processes left -----------------------------------------------------------------------

    async def abandoned(self) -> Iterable[str]:
        """Names in flight of processes that are dead."""
        return await self.database.run("abandoned", self._abandoned)

    def _abandoned(self) -> list[str]:
        rows = self.database.all("SELECT DISTINCT process FROM blobs WHERE state < ?", SETTLED)
        dead = [process for (process,) in rows if self.processes.is_dead(process)]
        self.processes.bury()
        query = "SELECT name FROM blobs WHERE process = ? AND state < ?"
        return [name for process in dead for (name,) in self.database.all(query, process, SETTLED)]

    async def resolve(self, names: Iterable[str]) -> None:
        """Their fate is decided: what was published stays unless it was deleted, the rest goes."""
        await self.database.run("resolve", self._resolve, list(names))

    def _resolve(self, names: list[str]) -> None:
        with self.database.transaction() as connection:
            for name in names:
                update = "UPDATE blobs SET state = ? WHERE name = ? AND state = ?"
                if not connection.execute(update, (SETTLED, name, PUBLISHED)).rowcount:
                    unpublished = "SELECT id FROM blobs WHERE name = ? AND state < ?"
                    for (blob,) in connection.execute(unpublished, (name, PUBLISHED)).fetchall():
                        connection.execute("DELETE FROM pieces WHERE blob = ?", (blob,))
                        connection.execute("DELETE FROM blobs WHERE id = ?", (blob,))

    # --- scrub ------------------------------------------------------------------------------------------

    async def names(self, endings: range) -> Collection[str]:
        """Names that end so."""
        rows = await self.database.run("names", self.database.all, "SELECT name FROM blobs")
        return [name for (name,) in rows if int(name[-2:], 16) in endings]

    async def in_flight(self) -> Collection[str]:
        """Names whose fate is not decided."""
        query = "SELECT name FROM blobs WHERE state < ?"
        return {name for (name,) in await self.database.run("names", self.database.all, query, SETTLED)}

    async def set_aside(self, name: str, where: Aside) -> str | None:
        """Give its bytes another name, that nobody reads."""
        return await self.database.run(name, self._set_aside, name, where.value)

    def _set_aside(self, name: str, where: str) -> str | None:
        with self.database.transaction(sync=True) as connection:
            row = self.database.one("SELECT id FROM blobs WHERE name = ?", name)
            if row is None:
                return None
            places = (f"{where}/{name}" + (f".{n}" if n else "") for n in itertools.count())
            taken = "SELECT 1 FROM aside WHERE place = ?"
            place = next(place for place in places if not self.database.one(taken, place))
            connection.execute("INSERT INTO aside VALUES (?, ?)", (place, row[0]))
            connection.execute("DELETE FROM blobs WHERE id = ?", (row[0],))
        return place
