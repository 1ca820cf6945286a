"""Objects as blobs of one container of Azure Blob Storage.

::

    CONTAINER/PREFIX/
      BUCKET/KEY                        an object, with its own type, headers and metadata
      .bleepstore/store                 the id of the store, and the format's version
      .bleepstore/staging/WRITE         a large write or a copy, between seal and publish (``staging``)
      .bleepstore/uploads/UPLOAD        a multipart upload (``multipart``)

A token is a blob's ETag without quotes.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    BlobClient,
    BlobProperties,
    BlobSasPermissions,
    ContainerClient,
    generate_blob_sas,
)
from bleepstore.native import RESERVED, NativeBackend, NativePart, NativeStaged, NativeUpload, UpstreamObject
from bleepstore.native_calls import Buffers, Calls
from bleepstore.storage import (
    Blob,
    BlobMissing,
    BlobReader,
    Capabilities,
    Damaged,
    Layout,
    StoreMismatch,
    Target,
    TokenMismatch,
    Unsupported,
)

from bleepstore_backend_azure import names, objects
from bleepstore_backend_azure.calls import MIB, SCOPE, at, connect, token_of
from bleepstore_backend_azure.copying import AzureCopy
from bleepstore_backend_azure.faults import faults, kind
from bleepstore_backend_azure.multipart import (
    AzureAssembly,
    AzurePart,
    AzurePartCopy,
    can_copy_from_url,
    private_name,
)
from bleepstore_backend_azure.publishing import remove
from bleepstore_backend_azure.reading import AzureReader
from bleepstore_backend_azure.staging import AzureBody

if TYPE_CHECKING:
    from bleepstore_backend_azure.plugin import AzureSettings

VERSION = 1
PAGE = 5000
"""Blobs of one request of a listing, the most that the service gives."""
STALE_SECONDS = 24 * 3600
"""A private blob of a write is published within seconds: one so old belongs to nobody."""

T = TypeVar("T")


class AzureBackend(NativeBackend):
    """A :class:`~bleepstore.native.NativeBackend` over one container."""

    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)

    def __init__(self, section: AzureSettings) -> None:
        self.block = section.block_mib * MIB
        self.buffers = Buffers(self.block, section.memory_mib * MIB)
        self.calls = Calls("azure", section.threads, faults)
        self._section = section
        self._prefix = f"{section.prefix.strip('/')}/" if section.prefix.strip("/") else ""
        self._room = names.LONGEST - len(names.order(self._prefix)) // 2
        self._container: ContainerClient | None = None
        self._copies_parts: bool | None = None

    @property
    def container(self) -> ContainerClient:
        """The client of the container."""
        if self._container is None:
            self._container = connect(self._section)
        return self._container

    def blob(self, name: str) -> BlobClient:
        """The client of a blob, by the name that rows have."""
        return self.container.get_blob_client(self._prefix + name)

    # --- the store ------------------------------------------------------------------------------------

    async def claim(self, store_id: str) -> None:
        """Make the container that of this store: what it says of itself is all that changes."""
        await self.calls.run(f"container {self._section.container}", self._claim, store_id)

    def _claim(self, store_id: str) -> None:
        marker = self.blob(names.STORE)
        if (stored := self._stored(marker)) is not None:
            marker.upload_blob(f"{store_id} {stored.partition(' ')[2]}".encode(), overwrite=True)

    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Take or compare the store id. What else is in the container is for ``import``."""
        await self.calls.run(f"container {self._section.container}", self._start, store_id, fresh)

    def _start(self, store_id: str, fresh: bool) -> None:
        marker, line = self.blob(names.STORE), f"{store_id} {VERSION}\n"
        stored = self._stored(marker)
        where = f"container {self._section.container}"
        if stored is None and not fresh:
            raise StoreMismatch(f"{where}: does not hold the store {store_id} of the metadata")
        if stored is None:
            try:
                marker.upload_blob(line.encode(), overwrite=True, **at(""))
            except HttpResponseError as error:  # another worker may have been first
                if kind(error) is not TokenMismatch:
                    raise
            stored = self._stored(marker)
        if stored != line:
            raise StoreMismatch(f"{where}: belongs to store {(stored or 'none').strip()}, not to {store_id}")

    def _stored(self, marker: BlobClient) -> str | None:
        try:
            return marker.download_blob(0, 1024).readall().decode(errors="replace")
        except HttpResponseError as error:
            if kind(error) is BlobMissing:
                return None
            raise

    async def stop(self) -> None:
        """Let everything go, after the calls under way."""
        await self.calls.stop()
        if self._container is not None:
            credential = self._container.credential
            self._container.close()
            if hasattr(credential, "close"):
                credential.close()

    # --- names and single blobs -------------------------------------------------------------------------

    def name_of(self, bucket: str, key: str) -> str:
        """The blob's name for a key, escaped as the README says."""
        return names.name_of(bucket, key, self._room)

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a span, with its first range read."""
        return await AzureReader(self, blob, start, length).begin()

    async def verify(self, blob: Blob) -> None:
        """Read a whole blob, and compare it with its Content-MD5 where it has one."""
        reader = await self.open(blob)
        digest = hashlib.md5(usedforsecurity=False)
        try:
            async for piece in reader:
                digest.update(piece)
        finally:
            await reader.close()
        found = await self.calls.run(blob.name, self.look, blob.name)
        md5 = objects.md5_of(found) if found else None
        if md5 and md5 != digest.digest() and token_of(found.etag if found else "") == blob.token:
            raise Damaged(f"{blob.name}: is not what its Content-MD5 says")

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove a blob, only at the token."""
        await self.calls.run(name, self.delete_at, name, token)

    def delete_at(self, name: str, token: str | None) -> None:
        """Remove a blob; an absent one is no error. Runs in a thread."""
        if token is None:
            if self.look(name) is not None:
                raise TokenMismatch(f"{name}: is deleted at a token only")
            return
        client = self.blob(name)
        try:
            client.delete_blob(delete_snapshots="include", **at(token))
        except HttpResponseError as error:
            found = kind(error)
            if found is TokenMismatch and self.look(name) is None:
                return  # absence breaks a condition too
            if found is TokenMismatch:
                raise TokenMismatch(f"{name}: is not at {token}") from error
            if found is not BlobMissing:
                raise

    async def stat(self, name: str) -> UpstreamObject | None:
        """What the container holds under a name."""
        found = await self.calls.run(name, self.look, name)
        return objects.describe(name, found) if found is not None else None

    def look(self, name: str) -> BlobProperties | None:
        """A blob's properties; ``None`` where there is none. Runs in a thread."""
        try:
            return self.blob(name).get_blob_properties()
        except HttpResponseError as error:
            if kind(error) is BlobMissing:
                return None
            raise

    def readable(self, source: BlobClient) -> tuple[str, str | None]:
        """A URL that the service itself may read for some hours, and an authorization if it needs one."""
        credential = self.container.credential
        if hasattr(credential, "get_token"):
            return source.url, f"Bearer {credential.get_token(SCOPE).token}"
        key = getattr(credential, "account_key", None)
        if key is None:
            return source.url, None
        account, blob_name = source.account_name, source.blob_name
        if account is None:
            raise Unsupported("the account has no name to sign for")
        signature = generate_blob_sas(
            account,
            source.container_name,
            blob_name,
            account_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=6),
        )
        return f"{source.url}?{signature}", None

    # --- writes -----------------------------------------------------------------------------------------

    async def stage(
        self, name: str, *, size: int | None = None, target: Target | None = None
    ) -> NativeStaged:
        """Begin a write; the first call is that of the first whole block."""
        if target is None:
            raise Unsupported("objects of Azure have a bucket and a key")
        return AzureBody(self, name, target, size)

    async def stage_copy(self, name: str, source: Blob, target: Target) -> NativeStaged:
        """Begin a copy by the service."""
        if source.token is None:
            raise Unsupported("a copy is of a source at its token")
        return AzureCopy(self, name, source, target)

    async def begin_upload(self, name: str, target: Target) -> str:
        """Nothing is kept of an upload without parts."""
        self.name_of(target.bucket, target.key)
        names.metadata_out(target.metadata)
        return ""

    async def stage_part(
        self, upload: NativeUpload, number: int, name: str, *, size: int | None = None
    ) -> NativeStaged:
        """Begin a write of a part."""
        return AzurePart(self, upload, name, size)

    async def stage_part_copy(
        self, upload: NativeUpload, number: int, name: str, source: Blob, start: int, length: int
    ) -> NativeStaged:
        """Begin a copy into a part; Unsupported where the service cannot."""
        if self._copies_parts is None:
            private = self.blob(private_name(upload))
            self._copies_parts = await self.calls.run(source.name, can_copy_from_url, private)
        if not self._copies_parts:
            raise Unsupported("the service has no Put Block From URL")
        return AzurePartCopy(self, upload, name, source, start, length)

    async def stage_upload(self, upload: NativeUpload, parts: Sequence[NativePart]) -> NativeStaged:
        """Begin to make the object of the parts."""
        return AzureAssembly(self, upload, parts)

    async def abort_upload(self, upload: NativeUpload) -> None:
        """Drop the private blob with all blocks."""
        private = self.blob(private_name(upload))
        await self.calls.finish(private_name(upload), remove, private)

    # --- what is there ----------------------------------------------------------------------------------

    async def buckets(self) -> AsyncIterator[str]:
        """First segments below the prefix."""
        found = self.container.walk_blobs(self._prefix or None, delimiter="/")
        async for item in self._paged(iter(found)):
            name = item.name.removeprefix(self._prefix)
            if name.endswith("/") and name != f"{RESERVED}/":
                yield name[:-1]

    async def objects(
        self, bucket: str, *, prefix: str = "", after: str = ""
    ) -> AsyncIterator[UpstreamObject]:
        """Blobs of a bucket in the service's order, which is that of UTF-16 code units."""
        begins = f"{bucket}/{names.beginning(prefix)}"
        async for item in self._listed(begins, after):
            name = item.name.removeprefix(self._prefix)
            if after and names.order(name) <= names.order(after):
                continue
            found = objects.describe(name, item)
            if found is not None and found.key.startswith(prefix):
                yield found

    def _listed(self, begins: str, after: str = "") -> AsyncIterator[BlobProperties]:
        # Services that do not know ``start_from`` ignore it.
        more: dict[str, Any] = {"start_from": self._prefix + after} if after else {}
        found = self.container.list_blobs(
            self._prefix + begins, include=["metadata", "copy"], results_per_page=PAGE, **more
        )
        return self._paged(iter(found))

    async def _paged(self, found: Iterator[T]) -> AsyncIterator[T]:
        """What an iterator of the SDK gives, in threads: it calls the service now and then."""
        take = functools.partial(islice, found, PAGE)
        while page := await self.calls.run(f"container {self._section.container}", lambda: list(take())):
            for item in page:
                yield item

    # --- what is left over ------------------------------------------------------------------------------

    async def abandoned(self) -> Iterable[str]:
        """None by name: metadata records what is in flight. Private blobs of nobody are removed."""
        oldest = time.time() - STALE_SECONDS
        async for item in self._listed(f"{names.STAGING}/"):
            if item.last_modified.timestamp() < oldest:
                name = item.name.removeprefix(self._prefix)
                await self.calls.run(name, self.delete_at, name, token_of(item.etag))
        return ()
