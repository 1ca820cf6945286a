"""The file, and the one thread that uses it.

::

    store     the store id
    blobs     a row for each blob: written (0), published (1: its fate is not decided), settled (2)
    pieces    the bytes of blobs, PIECE bytes a row but for the last, each with its CRC-32
    aside     blobs that were set aside, under the place they went to

Pieces are committed without a sync. Publishing commits with one, which covers all that the log has.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from bleepstore.storage import BackendFailed, Damaged, OutOfSpace, Unavailable

T = TypeVar("T")

PIECE = 256 * 1024
"""Bytes of a row."""
WRITTEN, PUBLISHED, SETTLED = range(3)
_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS store(id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blobs(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, size INTEGER, state INTEGER NOT NULL,
    process TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS blobs_in_flight ON blobs(process) WHERE state < 2;
CREATE TABLE IF NOT EXISTS pieces(
    blob INTEGER NOT NULL, n INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(blob, n)
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aside(place TEXT PRIMARY KEY, blob INTEGER NOT NULL);
"""
_KINDS = {
    "SQLITE_FULL": OutOfSpace,
    "SQLITE_BUSY": Unavailable,
    "SQLITE_CORRUPT": Damaged,
    "SQLITE_NOTADB": Damaged,
}


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Raise what SQLite and the operating system raise as a fault of the contract."""
    try:
        yield
    except sqlite3.Error as error:
        # Long codes begin with the short one: SQLITE_CORRUPT_INDEX.
        code = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
        raise _KINDS.get(code, BackendFailed)(f"{what}: {error}") from error
    except OSError as error:
        raise BackendFailed(f"{what}: {error.strerror or error}") from error


class Database:
    """The file. Calls run in one thread, in the order in which they were made."""

    connection: sqlite3.Connection

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._path = path
        self._durable = durable
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bleepstore-sqlitefs")

    async def run(self, what: str, work: Callable[..., T], *arguments: Any) -> T:
        """Work in the thread. What is cancelled still comes to its end, before what is asked for next."""

        def guarded() -> T:
            with faults(what):
                return work(*arguments)

        try:
            future = asyncio.get_running_loop().run_in_executor(self._thread, guarded)
        except RuntimeError as error:
            raise Unavailable(f"{what}: the backend is stopped") from error
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(future)

    def open(self) -> None:
        """Open the file, and make what is missing. In the thread, as all below."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=5
        )
        self.connection.executescript(_TABLES)

    def close(self) -> None:
        """Let work come to its end and close the file. Idempotent; not in the thread."""
        self._thread.shutdown()
        if hasattr(self, "connection"):
            self.connection.close()

    @contextmanager
    def transaction(self, *, sync: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing, and durable with ``sync``."""
        sync = sync and self._durable
        self.connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def one(self, query: str, *values: Any) -> Any:
        """The first row of a query, ``None`` without."""
        return self.connection.execute(query, values).fetchone()

    def all(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query."""
        return self.connection.execute(query, values).fetchall()
