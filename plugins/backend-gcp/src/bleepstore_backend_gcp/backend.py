"""Objects in one bucket of Google Cloud Storage.

::

    gs://BUCKET/PREFIX/
      BUCKET/KEY                      an object, with its own type, headers and metadata
      .bleepstore/store               the id of the store, and the format's version
      .bleepstore/staging/WRITE       a large write, until it is published (``staging``)
      .bleepstore/uploads/UPLOAD/     parts of a multipart upload (``multipart``)

A token is an object's generation and metageneration. Methods that say so run in threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from bleepstore.native import RESERVED, NativeBackend, NativePart, NativeStaged, NativeUpload, UpstreamObject
from bleepstore.native_calls import Buffers, Calls
from bleepstore.storage import (
    Blob,
    BlobMissing,
    BlobReader,
    Capabilities,
    Layout,
    StorageFault,
    StoreMismatch,
    Target,
    TokenMismatch,
    Unavailable,
    Unsupported,
)
from google.cloud.storage import Blob as Object
from google.cloud.storage import Bucket

from bleepstore_backend_gcp import names, objects
from bleepstore_backend_gcp.calls import MIB, Attempts, at, connect
from bleepstore_backend_gcp.copying import GcpCopy
from bleepstore_backend_gcp.faults import ERRORS, faults, kind
from bleepstore_backend_gcp.multipart import AT_ONCE, GcpAssembly, GcpPart, GcpPartCopy, folder
from bleepstore_backend_gcp.objects import state_of
from bleepstore_backend_gcp.reading import GcpReader
from bleepstore_backend_gcp.staging import GcpBody

if TYPE_CHECKING:
    from bleepstore_backend_gcp.plugin import GcpSettings

log = logging.getLogger("bleepstore.gcp")

VERSION = 1
PAGE = 1000
"""Objects of one request of a listing, the most that the service gives."""
STALE_SECONDS = 24 * 3600
"""A private object of a write is published within seconds: one so old belongs to nobody."""

T = TypeVar("T")


class GcpBackend(NativeBackend):
    """A :class:`~bleepstore.native.NativeBackend` over one bucket."""

    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)

    def __init__(self, section: GcpSettings) -> None:
        self.section = section
        self.buffer = section.buffer_mib * MIB
        self.buffers = Buffers(self.buffer, section.memory_mib * MIB)
        self.calls = Calls("gcp", section.threads, faults)
        self._where = f"bucket {section.bucket}"
        self._prefix = f"{section.prefix.strip('/')}/" if section.prefix.strip("/") else ""
        self._room = names.LONGEST - len(self._prefix.encode())
        self._bucket: Bucket | None = None
        self._session: Any = None

    @property
    def bucket(self) -> Bucket:
        """The bucket upstream. Connected by :meth:`start`."""
        if self._bucket is None:
            raise Unavailable(f"{self._where}: the backend is not started")
        return self._bucket

    @property
    def session(self) -> Any:
        """The session that the bucket's calls use."""
        if self._session is None:
            raise Unavailable(f"{self._where}: the backend is not started")
        return self._session

    def item(self, name: str, generation: int | None = None) -> Object:
        """An object by the name that rows have; nothing is asked."""
        return self.bucket.blob(self._prefix + name, generation=generation)

    def short(self, name: str) -> str:
        """The name that rows have."""
        return name.removeprefix(self._prefix)

    # --- the store ------------------------------------------------------------------------------------

    async def claim(self, store_id: str) -> None:
        """Make the bucket that of this store: what it says of itself is all that changes."""
        await self.calls.run(self._where, self._claim, store_id)

    def _claim(self, store_id: str) -> None:
        if self._bucket is None:
            self._bucket, self._session = connect(self.section)
        if (stored := self._stored()) is not None:
            line = f"{store_id} {stored.partition(' ')[2]}"
            self.item(names.STORE).upload_from_string(line, **Attempts(self.section).arguments)

    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Take or compare the store id. What else is in the bucket is for ``import``."""
        await self.calls.run(self._where, self._start, store_id, fresh)

    def _start(self, store_id: str, fresh: bool) -> None:
        if self._bucket is None:
            self._bucket, self._session = connect(self.section)
        line = f"{store_id} {VERSION}\n"
        stored = self._stored()
        if stored is None and not fresh:
            raise StoreMismatch(f"{self._where}: does not hold the store {store_id} of the metadata")
        if stored is None:
            try:
                self.item(names.STORE).upload_from_string(line, **at(""), **Attempts(self.section).arguments)
            except ERRORS as error:  # another worker may have been first
                if kind(error) is not TokenMismatch:
                    raise
            stored = self._stored()
        if stored != line:
            raise StoreMismatch(f"{self._where}: is of store {(stored or 'none').strip()}, not of {store_id}")

    def _stored(self) -> str | None:
        try:
            data: bytes = self.item(names.STORE).download_as_bytes(**Attempts(self.section).arguments)
        except ERRORS as error:
            if kind(error) is BlobMissing:
                return None
            raise
        return data.decode(errors="replace")

    async def stop(self) -> None:
        """Let everything go, after the calls under way."""
        await self.calls.stop()
        if self._session is not None:
            self._session.close()

    # --- names and single objects -----------------------------------------------------------------------

    def name_of(self, bucket: str, key: str) -> str:
        """The blob's name for a key, escaped as the README says."""
        return names.name_of(bucket, key, self._room)

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a span, with its first range read."""
        return await GcpReader(self, blob, start, length).begin()

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove an object at the token; a part of an upload needs none."""
        if token is None and name.startswith(names.UPLOADS):
            await self.calls.run(name, self.remove, name)
        else:
            await self.calls.run(name, self.delete_at, name, token)

    def delete_at(self, name: str, token: str | None) -> None:
        """Remove an object; an absent one is no error. Runs in a thread."""
        if not token:
            if self.look(name) is not None:
                raise TokenMismatch(f"{name}: is removed at a token only")
            return
        try:
            self.item(name).delete(**at(token), **Attempts(self.section).arguments)
        except ERRORS as error:
            found = kind(error)
            if found is TokenMismatch and self.look(name) is not None:
                raise TokenMismatch(f"{name}: is not at {token}") from error
            if found not in (TokenMismatch, BlobMissing):
                raise

    def remove(self, private: str) -> None:
        """Remove an object that nobody but us has written. Runs in a thread."""
        try:
            self.item(private).delete(**Attempts(self.section).arguments)
        except ERRORS as error:
            if kind(error) is not BlobMissing:
                raise

    def drop(self, private: str) -> None:
        """As :meth:`remove`, for what is not needed any more: upkeep finds what cannot be removed."""
        try:
            self.remove(private)
        except ERRORS as error:
            log.warning("%s is left to upkeep: %s", private, error)

    async def stat(self, name: str) -> UpstreamObject | None:
        """What the bucket holds under a name."""
        found = await self.calls.run(name, self.look, name)
        return objects.describe(name, found) if found is not None else None

    def look(self, name: str) -> Object | None:
        """What the service says of an object; ``None`` where there is none. Runs in a thread."""
        item = self.item(name)
        try:
            item.reload(**Attempts(self.section).arguments)
        except ERRORS as error:
            if kind(error) is BlobMissing:
                return None
            raise
        return item

    def at_token(self, name: str, token: str | None, *, missing: bool = True) -> Object:
        """What the service says of an object at its token. Runs in a thread.

        Raises BlobMissing where it is not there, also at another token unless told not to: a
        TokenMismatch then.
        """
        found = self.look(name)
        if found is None:
            raise BlobMissing(f"{name}: is not there")
        if token is not None and state_of(found) != token:
            raise (BlobMissing if missing else TokenMismatch)(
                f"{name}: is at {state_of(found)}, not at {token}"
            )
        return found

    # --- writes -----------------------------------------------------------------------------------------

    async def stage(
        self, name: str, *, size: int | None = None, target: Target | None = None
    ) -> NativeStaged:
        """Begin a write; the first call is that of the first whole buffer."""
        if target is None:
            raise Unsupported("objects of Cloud Storage have a bucket and a key")
        return GcpBody(self, name, target, size)

    async def stage_copy(self, name: str, source: Blob, target: Target) -> NativeStaged:
        """Begin a copy by the service."""
        if source.token is None:
            raise Unsupported("a copy is of a source at its token")
        return GcpCopy(self, name, source, target)

    async def begin_upload(self, name: str, target: Target) -> str:
        """Nothing is kept of an upload without parts."""
        self.name_of(target.bucket, target.key)
        names.metadata_out(target.metadata)
        return ""

    async def stage_part(
        self, upload: NativeUpload, number: int, name: str, *, size: int | None = None
    ) -> NativeStaged:
        """Begin a write of a part."""
        return GcpPart(self, upload, number, name, size)

    async def stage_part_copy(
        self, upload: NativeUpload, number: int, name: str, source: Blob, start: int, length: int
    ) -> NativeStaged:
        """Begin a copy of a whole object into a part; Unsupported for a span."""
        if source.token is None or (start, length) != (0, source.size):
            raise Unsupported("the service copies whole objects")
        return GcpPartCopy(self, upload, number, name, source)

    async def stage_upload(self, upload: NativeUpload, parts: Sequence[NativePart]) -> NativeStaged:
        """Begin to make the object of the parts."""
        return GcpAssembly(self, upload, parts)

    async def abort_upload(self, upload: NativeUpload) -> None:
        """Remove the upload's folder."""
        free, removals = asyncio.Semaphore(AT_ONCE), []

        async def remove(name: str) -> None:
            async with free:
                await self.calls.run(name, self.remove, name)

        async for item in self._paged(self._pages(folder(upload))):
            removals.append(remove(self.short(item.name)))
        for result in await asyncio.gather(*removals, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    # --- what is there ----------------------------------------------------------------------------------

    async def buckets(self) -> AsyncIterator[str]:
        """First segments below the prefix."""
        found = self.bucket.list_blobs(
            prefix=self._prefix or None,
            delimiter="/",
            fields="prefixes,nextPageToken",
            page_size=PAGE,
            **Attempts(self.section).arguments,
        )
        pages: Iterator[Any] = found.pages
        told: set[str] = set()
        while await self.calls.run(self._where, next, pages, None) is not None:
            for name in map(self.short, sorted(found.prefixes - told)):
                if name.strip("/") and name != f"{RESERVED}/":
                    yield name[:-1]
            told |= found.prefixes

    async def objects(
        self, bucket: str, *, prefix: str = "", after: str = ""
    ) -> AsyncIterator[UpstreamObject]:
        """Objects of a bucket in the service's order, which is that of UTF-8."""
        begins = f"{bucket}/{names.beginning(prefix)}"
        async for item in self._paged(self._pages(begins, after)):
            name = self.short(item.name)
            if after and name.encode() <= after.encode():
                continue
            found = objects.describe(name, item)
            if found is not None and found.key.startswith(prefix):
                yield found

    def listed(self, begins: str) -> Iterator[Object]:
        """All objects whose name begins so. Runs in a thread."""
        for page in self._pages(begins):
            yield from page

    def _pages(self, begins: str, after: str = "") -> Iterator[Any]:
        found = self.bucket.list_blobs(
            prefix=self._prefix + begins,
            start_offset=self._prefix + after if after else None,
            fields=objects.FIELDS,
            page_size=PAGE,
            **Attempts(self.section).arguments,
        )
        pages: Iterator[Any] = found.pages
        return pages

    async def _paged(self, pages: Iterator[Any]) -> AsyncIterator[Object]:
        """What pages hold, each asked for in a thread."""
        while (page := await self.calls.run(self._where, next, pages, None)) is not None:
            for item in page:
                yield item

    # --- what is left over ------------------------------------------------------------------------------

    async def abandoned(self) -> Iterable[str]:
        """None by name: metadata records what is in flight. Private objects of nobody are removed."""
        oldest = time.time() - STALE_SECONDS
        async for item in self._paged(self._pages(names.STAGING)):
            if item.time_created.timestamp() < oldest:
                name = self.short(item.name)
                try:
                    await self.calls.run(name, self.delete_at, name, state_of(item))
                except StorageFault as fault:
                    log.warning("%s is left: %s", name, fault)
        return ()
