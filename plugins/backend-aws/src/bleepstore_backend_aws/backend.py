"""Objects in one bucket of S3, or of what speaks its protocol.

::

    BUCKET/PREFIX/
      BUCKET/KEY                    an object, with its own type, headers and metadata
      .bleepstore/store             the id of the store, the format's version, what upstream honours
      .bleepstore/writes/WRITE      a note of a multipart upload that is one write (``uploading``)
      .bleepstore/probes/...        for a moment at the first start (``conditions``)

A token is an object's ETag without quotes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bleepstore.native import RESERVED, NativeBackend, NativePart, NativeStaged, NativeUpload, UpstreamObject
from bleepstore.native_calls import Calls
from bleepstore.storage import (
    BackendFailed,
    Blob,
    BlobMissing,
    BlobReader,
    Capabilities,
    Layout,
    StoreMismatch,
    Target,
    TokenMismatch,
    Unavailable,
    Unsupported,
)
from botocore.exceptions import ClientError

from bleepstore_backend_aws import names, uploading
from bleepstore_backend_aws.calls import MIB, Upstream
from bleepstore_backend_aws.conditions import Honoured, probe, remove_abandoned
from bleepstore_backend_aws.copying import AwsCopy
from bleepstore_backend_aws.faults import faults, kind
from bleepstore_backend_aws.multipart import AwsAssembly, AwsPart, AwsPartCopy, arguments
from bleepstore_backend_aws.objects import describe, properties_out
from bleepstore_backend_aws.publishing import remove, state
from bleepstore_backend_aws.reading import AwsReader
from bleepstore_backend_aws.spooling import Budget
from bleepstore_backend_aws.staging import AwsBody

if TYPE_CHECKING:
    from bleepstore_backend_aws.plugin import AwsSettings

log = logging.getLogger("bleepstore.aws")

VERSION = 1
PAGE = 1000
"""Objects of one request of a listing, the most that S3 gives."""
SMALLEST_PART = 5 * MIB
ALL_HONOURED = Honoured(put=True, complete=True, copy=True, delete=True, etags=True)


class AwsBackend(NativeBackend):
    """A :class:`~bleepstore.native.NativeBackend` over one bucket."""

    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)
    upstream: Upstream

    def __init__(self, section: AwsSettings) -> None:
        self.part = max(section.part_mib * MIB, SMALLEST_PART)
        self.calls = Calls("aws", section.threads, faults, long=max(section.threads // 4, 1))
        self.budget = Budget(section.memory_mib * MIB, section.spool_dir)
        self.honoured = ALL_HONOURED
        self.writes: set[AwsBody] = set()
        """Writes that have an upload upstream."""
        self._section = section
        self._where = f"bucket {section.bucket}"
        prefix = section.prefix.strip("/")
        self._room = names.LONGEST - (len(f"{prefix}/".encode()) if prefix else 0)

    # --- the store ------------------------------------------------------------------------------------

    async def claim(self, store_id: str) -> None:
        """Make the bucket that of this store: what it says of itself is all that changes."""
        self.upstream = await self.calls.run(self._where, Upstream, self._section)
        await self.calls.run(self._where, self._claim, store_id)

    def _claim(self, store_id: str) -> None:
        if (stored := self._stored()) is not None:
            text = json.dumps({**stored, "store": store_id}).encode()
            at = self.upstream.at(names.STORE)
            self.upstream.client.put_object(**at, Body=text, ContentType="application/json")
        self.upstream.close()  # the start makes its own

    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Take or compare the store id. What else is in the bucket is for ``import``."""
        self.upstream = await self.calls.run(self._where, Upstream, self._section)
        await self.calls.run(self._where, self._start, store_id, fresh)

    def _start(self, store_id: str, fresh: bool) -> None:
        stored, tried = self._stored(), None
        if stored is None:
            if not fresh:
                raise StoreMismatch(f"{self._where}: does not hold the store {store_id} of the metadata")
            tried = self._try()
            self._store({"store": store_id, "version": VERSION, "honoured": tried.noted()})
            stored = self._stored() or {}
        if stored.get("store") != store_id:
            raise StoreMismatch(f"{self._where}: belongs to store {stored.get('store')}, not to {store_id}")
        if stored.get("version") != VERSION:
            raise StoreMismatch(f"{self._where}: has format {stored.get('version')}, this backend {VERSION}")
        noted = Honoured(**stored["honoured"])
        # What was not honoured may be now: another version of the service, or of its policy.
        self.honoured = tried or (noted if noted.everything() else self._try())

    def _try(self) -> Honoured:
        honoured = probe(self.upstream)
        self._admit(honoured)
        return honoured

    def _admit(self, honoured: Honoured) -> None:
        missing = honoured.missing()
        if missing and self._section.conditions == "upstream":
            raise BackendFailed(
                f"{self._where}: upstream ignores preconditions of {', '.join(missing)}: two writes at once "
                "could both succeed. See storage.aws.conditions"
            )
        if missing:
            log.warning("%s: upstream ignores preconditions of %s", self._where, ", ".join(missing))

    def _stored(self) -> dict[str, Any] | None:
        try:
            answer = self.upstream.client.get_object(**self.upstream.at(names.STORE))
        except ClientError as error:
            if kind(error) is BlobMissing:
                return None
            raise
        with contextlib.closing(answer["Body"]) as body:
            text = body.read()
        try:
            stored: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise StoreMismatch(f"{self._where}: {names.STORE} is not what a store has there") from error
        return stored

    def _store(self, content: Mapping[str, Any]) -> None:
        arguments = {**self.upstream.at(names.STORE), "Body": json.dumps(content).encode()}
        try:
            self.upstream.client.put_object(**arguments, ContentType="application/json", IfNoneMatch="*")
        except ClientError as error:  # another worker was first
            if kind(error) is not TokenMismatch:
                raise

    async def stop(self) -> None:
        """End the writes under way, let calls come to their end, and close the connections."""
        for write in list(self.writes):
            await write.stop()
        await self.calls.stop()
        if hasattr(self, "upstream"):
            self.upstream.close()

    # --- names and single objects -----------------------------------------------------------------------

    def name_of(self, bucket: str, key: str) -> str:
        """The blob's name for a key, escaped as the README says."""
        return names.name_of(bucket, key, self._room)

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a span, with its first piece read."""
        opening = self.calls.run(
            blob.name,
            AwsReader.open,
            self.calls,
            self.upstream,
            blob,
            start,
            length,
            digests=self.honoured.etags,
        )
        return await _or_closed(opening)

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove an object. Parts have no place of their own: the end of their upload removes them."""
        if names.key_of(name) is not None:
            await self.calls.run(name, self.delete_at, name, token)

    def delete_at(self, name: str, token: str | None) -> None:
        """Remove an object at its token. In a thread."""
        remove(self.upstream, name, token, honoured=self.honoured.delete)

    async def stat(self, name: str) -> UpstreamObject | None:
        """What upstream holds now."""
        found = await self.calls.run(name, state, self.upstream, name)
        if found is None:
            return None
        return describe(name, found, found["ContentLength"], digests=self.honoured.etags)

    # --- writes -----------------------------------------------------------------------------------------

    async def stage(
        self, name: str, *, size: int | None = None, target: Target | None = None
    ) -> NativeStaged:
        """Begin a write of an object; the first call is that of the first part."""
        if target is None:
            raise Unsupported(f"{name}: a native blob needs its bucket and key")
        return AwsBody(self, name, target, size)

    async def stage_copy(self, name: str, source: Blob, target: Target) -> NativeStaged:
        """Begin a copy within upstream."""
        return AwsCopy(self, name, source, target)

    async def begin_upload(self, name: str, target: Target) -> str:
        """Begin a multipart upload; the UploadId."""
        blob_name = self.name_of(target.bucket, target.key)
        place, properties = self.upstream.at(blob_name), properties_out(target)
        return await self.calls.run(blob_name, uploading.create, self.upstream, place, properties)

    async def stage_part(
        self, upload: NativeUpload, number: int, name: str, *, size: int | None = None
    ) -> NativeStaged:
        """Begin a write of a part; it is sent when it is published."""
        return AwsPart(self, upload, number, name)

    async def stage_part_copy(
        self, upload: NativeUpload, number: int, name: str, source: Blob, start: int, length: int
    ) -> NativeStaged:
        """Begin a copy into a part."""
        return AwsPartCopy(self, upload, number, name, source, start, start + length)

    async def stage_upload(self, upload: NativeUpload, parts: Sequence[NativePart]) -> NativeStaged:
        """Begin to make the object of these parts."""
        return AwsAssembly(self, upload, parts)

    async def abort_upload(self, upload: NativeUpload) -> None:
        """Remove an upload with its parts."""
        await self.calls.run(upload.name, uploading.abort, self.upstream, arguments(self, upload))

    async def abandoned(self) -> Iterable[str]:
        """Nothing that needs a decision: uploads that dead processes left are aborted here."""
        older = time.time() - uploading.LEASE_SECONDS
        await self.calls.run(self._where, uploading.abort_abandoned, self.upstream, older)
        await self.calls.run(self._where, remove_abandoned, self.upstream, older)
        return ()

    def later(self, what: str, work: Callable[[], None]) -> None:
        """Do something that nobody waits for, and that upkeep does if it fails."""
        with contextlib.suppress(Unavailable):
            self.calls.finish(what, work).add_done_callback(_look)

    # --- listings ---------------------------------------------------------------------------------------

    async def buckets(self) -> AsyncIterator[str]:
        """First segments below the prefix."""
        pages = self._pages(Delimiter="/", Prefix=self.upstream.prefix)
        while (page := await self.calls.run(self._where, next, pages, None)) is not None:
            for common in page.get("CommonPrefixes", ()):
                bucket = common["Prefix"].removeprefix(self.upstream.prefix).rstrip("/")
                if bucket and bucket != RESERVED:
                    yield bucket

    async def objects(
        self, bucket: str, *, prefix: str = "", after: str = ""
    ) -> AsyncIterator[UpstreamObject]:
        """Objects of a bucket in upstream's order: bytes of UTF-8, with AWS."""
        more = {"StartAfter": self.upstream.prefix + after} if after else {}
        begin = f"{self.upstream.prefix}{bucket}/{names.beginning(prefix)}"
        pages = self._pages(Prefix=begin, **more)
        while (page := await self.calls.run(self._where, next, pages, None)) is not None:
            for entry in page.get("Contents", ()):
                name = entry["Key"].removeprefix(self.upstream.prefix)
                found = describe(name, entry, entry["Size"], digests=self.honoured.etags)
                if found is not None and found.key.startswith(prefix):
                    yield found

    def _pages(self, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        paginator = self.upstream.client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self.upstream.bucket, MaxKeys=PAGE, **arguments)
        return iter(pages)


async def _or_closed(opening: asyncio.Future[AwsReader]) -> AwsReader:
    """The reader; one that comes when nobody waits for it any more is closed."""
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(opening: asyncio.Future[AwsReader]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().release()


def _look(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.warning("left to upkeep: %s", error)
