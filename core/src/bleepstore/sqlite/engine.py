"""The built-in metadata engine: SQLite in one file.

Beside ``metadata.db`` and SQLite's own ``-wal`` and ``-shm`` lie ``-server`` and ``-writer`` (locks,
see ``locks``), ``-socket`` (see ``remote``) and ``-readers/`` (see ``readers``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from bleepstore.commands import Command
from bleepstore.events import Event
from bleepstore.metadata import (
    BucketRecord,
    Garbage,
    Holder,
    InlineBlob,
    Intent,
    Listing,
    MetadataBusy,
    MetadataEngine,
    MetadataFailed,
    MetadataUnavailable,
    ObjectEntry,
    ObjectRecord,
    PartRecord,
    Segment,
    UploadRecord,
)
from bleepstore.sqlite import locks
from bleepstore.sqlite.conditions import NULL_VERSION
from bleepstore.sqlite.reader import Reader
from bleepstore.sqlite.readers import Readers
from bleepstore.sqlite.remote import CommandClient, CommandServer
from bleepstore.sqlite.scan import Scan
from bleepstore.sqlite.schema import open_writer
from bleepstore.sqlite.writer import Writer
from bleepstore.storage import ENDINGS, Blob

ROLE_PATIENCE = 10.0
"""Seconds in which a command waits for a process that has the writer role."""
ROLE_LOOK = 0.05
"""Seconds between two tries to find or take the role."""
ROLE_WATCH = 1.0
"""Seconds after which a process that has no commands sees that the writer is gone."""

log = logging.getLogger("bleepstore.sqlite")


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
        self._search: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._reader: Reader
        self._scan = Scan(path)
        self._readers: Readers
        self._stopped = False
        self.is_writer = False
        self.fresh = False
        self.store_id = ""
        self.holder = ""

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(f"{self._path.name}-{suffix}")

    async def start(self) -> None:
        """Open or make the database, and take the writer role or find who has it."""
        try:
            _make_folder(self._path.parent)
            self._admission = locks.admit(self._beside("server"), self._token)
            self.holder = f"{os.getpid()}-{secrets.token_hex(8)}"
            self._readers = Readers(self._beside("readers"), self.holder)
            await self._writer_or_client()
            self._reader = Reader(self._path)
            self.store_id, seq = await self._reader.long(
                lambda db: db.execute("SELECT store_id, seq FROM state").fetchone()
            )
            self.fresh = seq == 0
        except BaseException as error:
            await self._release()
            if isinstance(error, OSError):
                raise MetadataFailed(f"{self._path.parent}: {error.strerror}") from error
            if isinstance(error, MetadataBusy | MetadataUnavailable | sqlite3.Error):
                raise MetadataFailed(f"{self._path}: {error}") from error
            raise
        self._watch = asyncio.create_task(self._keep_writer(), name="writer-role")

    async def stop(self) -> None:
        """Finish queued commands and close. A stopped engine is not started again."""
        await self._release()

    async def _release(self) -> None:
        self._stopped = True
        for task in (self._watch, self._search):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
        if self._client is not None:
            await self._client.close()
        if self._server is not None:
            await self._server.stop()
        if self._writer is not None:
            await self._writer.stop()
        # The last connection to close folds the log into the database: it has to be one that writes.
        await self._scan.close()
        if hasattr(self, "_reader"):
            self._reader.close()
        if self._writing is not None:
            self._writing.close()
        if hasattr(self, "_readers"):
            self._readers.close()
        locks.release(self._role)
        locks.release(self._admission)
        self._client = self._server = self._writer = self._writing = None
        self._role = self._admission = None
        self.is_writer = False

    # --- the writer role --------------------------------------------------------------------------------

    async def _writer_or_client(self) -> Writer | CommandClient:
        """Who takes commands now, after a search where nobody does.

        The search is a task of its own: a caller that is cancelled does not leave a role half taken.
        Raises MetadataBusy where nobody was found, MetadataUnavailable after the end.
        """
        while True:
            if self._stopped:
                raise MetadataUnavailable("the engine has been stopped")
            if self._writer is not None:
                return self._writer
            if self._client is not None and self._client.open:
                return self._client
            if self._search is None or self._search.done():
                self._search = asyncio.create_task(self._find_writer(), name="writer-search")
                self._search.add_done_callback(lambda search: search.cancelled() or search.exception())
            search = self._search
            await asyncio.wait((search,))
            if search.cancelled():
                continue
            search.result()

    async def _find_writer(self) -> None:
        """Take the role, or connect to the process that has it."""
        if self._client is not None:
            await self._client.close()  # what it was sent may still be answered
            self._client = None
        deadline = asyncio.get_running_loop().time() + ROLE_PATIENCE
        while True:
            role = locks.take_role(self._beside("writer"))
            if role is not None:
                try:
                    await self._take_role(role)
                except BaseException:
                    locks.release(role)
                    raise
                return
            with contextlib.suppress(OSError):
                async with asyncio.timeout_at(deadline):
                    self._client = await CommandClient.connect(self._beside("socket"))
                return
            if asyncio.get_running_loop().time() > deadline:
                raise MetadataBusy("no process answers for the writer role")
            await asyncio.sleep(ROLE_LOOK)

    async def _take_role(self, role: IO[bytes]) -> None:
        """Become the writer. Whatever fails leaves nothing open."""
        connection = open_writer(
            self._path, durable=self._durable, new_store_id=lambda: secrets.token_hex(16)
        )
        writer: Writer | None = None
        try:
            writer = Writer(connection, committed=self._committed)
            self._readers.seq = writer.seq
            writer.start()
            server = CommandServer(self._beside("socket"), writer.submit)
            await server.start()
        except BaseException:
            if writer is not None:
                await writer.stop()
            connection.close()
            raise
        self._writing, self._writer, self._server = connection, writer, server
        self._role = role
        self.is_writer = True

    def _committed(self, seq: int) -> None:
        self._readers.seq = seq

    async def _keep_writer(self) -> None:
        """When the writer dies, see that there is another, also while no command comes."""
        while self._writer is None:
            await asyncio.sleep(ROLE_WATCH)
            try:
                await self._writer_or_client()
            except Exception as error:
                log.warning("nobody has the writer role: %s", error)

    async def apply(self, command: Command) -> Any:
        """Run one command."""
        try:
            taker = await self._writer_or_client()
        except (MetadataFailed, OSError, sqlite3.Error) as error:
            # Nothing of it was sent: this process could have become the writer, and did not.
            raise MetadataBusy(f"the writer role cannot be taken: {error}") from error
        # A caller that is cancelled takes the future with it, and the command runs all the same.
        return await taker.submit(command)

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

    async def all_buckets(self, *, after: str, limit: int) -> Listing[BucketRecord]:
        """A page of everybody's buckets."""
        return await self._reader.all_buckets(after, limit)

    async def object(
        self, bucket: str, key: str, version: str | None = None, *, data: bool = False
    ) -> tuple[BucketRecord | None, ObjectRecord | None]:
        """Bucket and object."""
        found, version_found = self._reader.object(bucket, key, data=data)
        return found, version_found if version in (None, NULL_VERSION) else None

    async def list_objects(
        self, bucket: int, *, prefix: str, delimiter: str, after: str, limit: int
    ) -> Listing[ObjectEntry]:
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

    # --- native layout ----------------------------------------------------------------------------------

    async def part_blobs(self, segments: int) -> Mapping[int, Blob]:
        """The blobs of an unfinished upload's parts."""
        return await self._reader.part_blobs(segments)

    async def intent(self, bucket: int, key: str) -> Intent | None:
        """The intent on a key."""
        return self._reader.intent(bucket, key)

    async def intents(self, limit: int, *, after: tuple[int, str] = (0, "")) -> Sequence[Intent]:
        """Intents by key."""
        return await self._reader.intents(limit, after)

    async def is_alive(self, holder: str) -> bool:
        """Whether that process has its file in ``-readers/`` locked."""
        return self._readers.is_alive(holder)

    # --- upkeep -----------------------------------------------------------------------------------------

    def reading(self) -> AbstractContextManager[None]:
        """Hold the present state."""
        return self._readers.reading()

    async def garbage(self, limit: int, *, after: tuple[int, str] = (0, "")) -> Sequence[Garbage]:
        """Blobs that nobody reads any more."""
        return await self._reader.garbage(self._readers.oldest(), limit, after)

    async def known(self, blobs: Sequence[str]) -> set[str]:
        """Which of these blobs any row names."""
        return await self._reader.known(blobs)

    async def expired_uploads(self, before: int, limit: int) -> Sequence[UploadRecord]:
        """Old uploads."""
        return await self._reader.expired_uploads(before, limit)

    async def events(self, sink: str, limit: int) -> Sequence[Event]:
        """Events for a sink."""
        return await self._reader.events(sink, limit)

    # --- scrub ------------------------------------------------------------------------------------------

    def blobs(self, endings: range = ENDINGS) -> AsyncIterator[Blob]:
        """Every blob that a row names."""
        return self._scan.blobs(endings)

    def inline_blobs(self, endings: range = ENDINGS) -> AsyncIterator[InlineBlob]:
        """Every inline blob, checked."""
        return self._scan.inline_blobs(endings)

    async def holders(self, blobs: Sequence[str]) -> Sequence[Holder]:
        """What names these blobs."""
        return await self._scan.holders(blobs)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it: a name is durable before there is anything under it.

    The lowest one that is there already may be all that a start made that was cut off.
    """
    missing, present = [], folder
    while not present.exists():
        missing.append(present)
        present = present.parent
    _sync_name(present)
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _sync_name(path)


def _sync_name(folder: Path) -> None:
    with contextlib.suppress(PermissionError):  # a folder of others, which cannot be listed
        descriptor = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
