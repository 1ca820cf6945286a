"""The built-in metadata engine: SQLite in one file.

Beside ``metadata.db`` and SQLite's own ``-wal`` and ``-shm`` lie ``-server`` and ``-writer`` (locks,
see ``locks``), ``-socket`` (see ``remote``) and ``-readers/`` (see ``readers``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from bleepstore.commands import Command
from bleepstore.events import Event
from bleepstore.metadata import (
    BucketRecord,
    Garbage,
    Listing,
    MetadataEngine,
    MetadataFailed,
    MetadataUnavailable,
    ObjectRecord,
    PartRecord,
    Segment,
    UploadRecord,
)
from bleepstore.sqlite import locks
from bleepstore.sqlite.reader import Reader
from bleepstore.sqlite.readers import Readers
from bleepstore.sqlite.remote import CommandClient, CommandServer
from bleepstore.sqlite.schema import open_writer
from bleepstore.sqlite.state import NULL_VERSION
from bleepstore.sqlite.writer import Writer

ROLE_PATIENCE = 10.0
"""Seconds in which a command waits for a process that has the writer role."""
ROLE_LOOK = 0.05
"""Seconds between two tries to find or take the role."""


class SqliteEngine(MetadataEngine):
    """Metadata in one SQLite file, written by one process and read by all workers."""

    inline = True

    def __init__(self, path: Path, *, durable: bool = True, token: str | None = None) -> None:
        """``token``: processes with the same one share the directory (default: the environment's)."""
        self._path = path
        self._durable = durable
        self._token = token or locks.server_token()
        self._admission: IO[bytes] | None = None
        self._role: IO[bytes] | None = None
        self._writer: Writer | None = None
        self._writing: sqlite3.Connection | None = None
        self._server: CommandServer | None = None
        self._client: CommandClient | None = None
        self._finding = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._reader: Reader
        self._readers: Readers
        self._started = False
        self.is_writer = False
        self.fresh = False
        self.store_id = ""

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(f"{self._path.name}-{suffix}")

    async def start(self) -> None:
        """Open or make the database, and take the writer role or find who has it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MetadataFailed(f"{self._path.parent}: {error.strerror}") from error
        self._admission = locks.admit(self._beside("server"), self._token)
        try:
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            try:
                self._readers = Readers(self._beside("readers"), name)
            except OSError as error:
                raise MetadataFailed(f"{self._path.parent}: {error.strerror}") from error
            await self._find_writer()
            self._reader = Reader(self._path)
            (self.store_id,) = await self._reader.long(
                lambda db: db.execute("SELECT store_id FROM state").fetchone()
            )
        except BaseException:
            await self._release()
            raise
        self._started = True
        self._watch = asyncio.create_task(self._keep_writer(), name="writer-role")

    async def stop(self) -> None:
        """Finish queued commands and close."""
        if not self._started:
            return
        self._started = False
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._release()
        self._reader.close()

    async def _release(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._server is not None:
            await self._server.stop()
            self._server = None
        if self._writer is not None:
            await self._writer.stop()
            self._writer = None
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        if hasattr(self, "_readers"):
            self._readers.close()
        locks.release(self._role)
        locks.release(self._admission)
        self._role = self._admission = None
        self.is_writer = False

    # --- the writer role --------------------------------------------------------------------------------

    async def _find_writer(self) -> None:
        """Take the role, or connect to the process that has it. Raises MetadataUnavailable."""
        async with self._finding:
            deadline = asyncio.get_running_loop().time() + ROLE_PATIENCE
            while self._writer is None and (self._client is None or not self._client.open):
                self._role = locks.take_role(self._beside("writer"))
                if self._role is not None:
                    await self._take_role()
                    return
                with contextlib.suppress(OSError):
                    self._client = await CommandClient.connect(self._beside("socket"))
                    return
                if asyncio.get_running_loop().time() > deadline:
                    raise MetadataUnavailable("no process answers for the writer role")
                await asyncio.sleep(ROLE_LOOK)

    async def _take_role(self) -> None:
        connection, fresh = open_writer(
            self._path, durable=self._durable, new_store_id=lambda: secrets.token_hex(16)
        )
        self._writing, self.fresh = connection, fresh
        writer = Writer(connection, committed=self._committed)
        self._readers.seq = writer.seq
        writer.start()
        self._server = CommandServer(self._beside("socket"), writer.submit)
        await self._server.start()
        self._writer, self._client = writer, None
        self.is_writer = True

    def _committed(self, seq: int) -> None:
        self._readers.seq = seq

    async def _keep_writer(self) -> None:
        """When the writer dies, see that there is another, also while no command comes."""
        while self._writer is None:
            await asyncio.sleep(1.0)
            if self._client is None or not self._client.open:
                with contextlib.suppress(MetadataUnavailable):
                    await self._find_writer()

    async def apply(self, command: Command) -> Any:
        """Run one command."""
        if self._writer is not None:
            return await asyncio.shield(self._writer.submit(command))
        if self._client is None or not self._client.open:
            await self._find_writer()
            return await self.apply(command)
        return await asyncio.shield(self._client.submit(command))

    # --- reads ------------------------------------------------------------------------------------------

    async def bucket(self, name: str) -> BucketRecord | None:
        """One bucket."""
        return self._reader.bucket(name)

    async def bucket_document(self, bucket: int, name: str) -> bytes | None:
        """One sub-resource of a bucket."""
        return self._reader.bucket_document(bucket, name)

    async def list_buckets(self, owner: str, *, prefix: str, after: str, limit: int) -> Listing[BucketRecord]:
        """A page of buckets."""
        return await self._reader.list_buckets(owner, prefix, after, limit)

    async def object(
        self, bucket: str, key: str, version: str | None = None, *, data: bool = False
    ) -> tuple[BucketRecord | None, ObjectRecord | None]:
        """Bucket and object."""
        found, version_found = self._reader.object(bucket, key, data=data)
        return found, version_found if version in (None, NULL_VERSION) else None

    async def list_objects(
        self, bucket: int, *, prefix: str, delimiter: str, after: str, limit: int
    ) -> Listing[ObjectRecord]:
        """A page of objects."""
        return await self._reader.list_objects(bucket, prefix, delimiter, after, limit)

    async def segments(self, segments: int, *, start: int, length: int) -> Sequence[Segment]:
        """The segments of a span."""
        return await self._reader.segments(segments, start, length)

    async def parts(self, segments: int, *, after: int = 0, limit: int = 10_000) -> Sequence[PartRecord]:
        """The parts of a list."""
        return await self._reader.parts(segments, after, limit)

    async def inline_data(self, blob: str) -> bytes | None:
        """Inline bytes."""
        return self._reader.inline(blob)

    async def upload(
        self, bucket: str, key: str, upload: str
    ) -> tuple[BucketRecord | None, UploadRecord | None]:
        """Bucket and upload."""
        return self._reader.upload(bucket, key, upload)

    async def list_uploads(
        self, bucket: int, *, prefix: str, delimiter: str, after: tuple[str, str], limit: int
    ) -> Listing[UploadRecord]:
        """A page of uploads."""
        return await self._reader.list_uploads(bucket, prefix, delimiter, after, limit)

    # --- upkeep -----------------------------------------------------------------------------------------

    def reading(self) -> AbstractContextManager[None]:
        """Hold the present state."""
        return self._readers.reading()

    async def garbage(self, limit: int) -> Sequence[Garbage]:
        """Blobs that nobody reads any more."""
        return await self._reader.garbage(self._readers.oldest(), limit)

    async def known(self, blobs: Sequence[str]) -> set[str]:
        """Which of these blobs any row names."""
        return await self._reader.known(blobs)

    async def expired_uploads(self, before: int, limit: int) -> Sequence[UploadRecord]:
        """Old uploads."""
        return await self._reader.expired_uploads(before, limit)

    async def events(self, sink: str, limit: int) -> Sequence[Event]:
        """Events for a sink."""
        return await self._reader.events(sink, limit)

    def blob_names(self) -> AsyncIterator[str]:
        """Every blob that a row names."""
        return self._reader.blob_names()
