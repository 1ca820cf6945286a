"""A storage backend of native layout in memory; what it stores is in a ``memory_upstream.Upstream``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence

from bleepstore.native import RESERVED, NativeBackend, NativePart, NativeStaged, NativeUpload, UpstreamObject
from bleepstore.storage import (
    Blob,
    BlobMissing,
    BlobReader,
    Buffer,
    Capabilities,
    KeyTooLong,
    Layout,
    StorageFault,
    StoreMismatch,
    Target,
    Unsupported,
)
from bleepstore.testing.memory_upstream import Held, Upstream

PIECE = 1024 * 1024
"""Bytes that a reader yields at once."""


class NativeMemoryBackend(NativeBackend):
    """Objects in an :class:`Upstream`."""

    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)

    def __init__(self, upstream: Upstream | None = None) -> None:
        self.upstream = upstream or Upstream()
        self.life = self.upstream.life
        self.writes: set[str] = set()

    async def reach(self, point: str, name: str = "") -> None:
        """Come to a point of a call."""
        await self.upstream.reach(point, name, self.life)

    # --- the store --------------------------------------------------------------------------------------

    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Take the id, or compare it. Objects that are there already are for ``import``."""
        self.life = self.upstream.life
        await self.reach("start")
        upstream = self.upstream
        if upstream.store_id != store_id and (upstream.store_id or not fresh):
            raise StoreMismatch(f"upstream belongs to store {upstream.store_id!r}, not to {store_id!r}")
        upstream.store_id = store_id
        await self.reach("start answered")

    async def claim(self, store_id: str) -> None:
        """Take over what is there."""
        self.upstream.store_id = store_id

    async def stop(self) -> None:
        """What was being written is gone with its process."""
        for name in self.writes:
            self.upstream.staged.pop(name, None)
        self.writes.clear()
        self.life = -1

    # --- names and single objects -----------------------------------------------------------------------

    def name_of(self, bucket: str, key: str) -> str:
        """Bucket and key as they are."""
        name = f"{bucket}/{key}"
        longest = self.upstream.longest
        if bucket == RESERVED:
            raise Unsupported(f"{RESERVED} is no bucket")
        if longest is not None and len(name.encode()) > longest:
            raise KeyTooLong(f"it takes {len(name.encode())} bytes upstream, and has room for {longest}")
        return name

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a span."""
        await self.reach("open", blob.name)
        data = self.upstream.at(blob).data
        await self.reach("open answered", blob.name)
        return NativeMemoryReader(self, blob.name, data[start : None if length is None else start + length])

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove an object at its token, or a part."""
        await self.reach("delete", name)
        if name in self.upstream.objects:
            self.upstream.check(name, token or "")
            del self.upstream.objects[name]
        self.upstream.parts.pop(name, None)
        await self.reach("delete answered", name)

    async def stat(self, name: str) -> UpstreamObject | None:
        """What upstream holds now."""
        await self.reach("stat", name)
        held = self.upstream.objects.get(name)
        await self.reach("stat answered", name)
        return _described(name, held, held) if held else None

    # --- writes -----------------------------------------------------------------------------------------

    async def stage(
        self, name: str, *, size: int | None = None, target: Target | None = None
    ) -> NativeStaged:
        """Begin a write of an object."""
        if target is None:
            raise Unsupported(f"{name}: a native blob needs its bucket and key")
        return NativeMemoryStaged(self, name, target)

    async def stage_copy(self, name: str, source: Blob, target: Target) -> NativeStaged:
        """Begin a copy within upstream."""
        if not self.upstream.copies:
            raise Unsupported("upstream does not copy")
        return NativeMemoryCopy(self, name, source, target)

    # --- multipart --------------------------------------------------------------------------------------

    async def begin_upload(self, name: str, target: Target) -> str:
        """Begin an upload."""
        self.name_of(target.bucket, target.key)
        await self.reach("begin_upload", name)
        handle = "" if self.upstream.parts_are_blobs else self.upstream.new_upload(target)
        await self.reach("begin_upload answered", name)
        return handle

    async def stage_part(
        self, upload: NativeUpload, number: int, name: str, *, size: int | None = None
    ) -> NativeStaged:
        """Begin a write of a part."""
        return NativeMemoryPart(self, upload, number, name)

    async def stage_part_copy(
        self, upload: NativeUpload, number: int, name: str, source: Blob, start: int, length: int
    ) -> NativeStaged:
        """Begin a copy into a part."""
        if not self.upstream.copies:
            raise Unsupported("upstream does not copy")
        part = NativeMemoryPart(self, upload, number, name)
        part.source = (source, start, length)
        return part

    async def stage_upload(self, upload: NativeUpload, parts: Sequence[NativePart]) -> NativeStaged:
        """Begin to make the object of these parts."""
        return NativeMemoryAssembly(self, upload, parts)

    async def abort_upload(self, upload: NativeUpload) -> None:
        """Drop an upload."""
        await self.reach("abort_upload", upload.name)
        self.upstream.uploads.pop(upload.handle, None)
        await self.reach("abort_upload answered", upload.name)

    # --- listings ---------------------------------------------------------------------------------------

    async def buckets(self) -> AsyncIterator[str]:
        """First segments of names."""
        await self.reach("buckets")
        for bucket in sorted({name.partition("/")[0] for name in self.upstream.objects}):
            yield bucket

    async def objects(
        self, bucket: str, *, prefix: str = "", after: str = ""
    ) -> AsyncIterator[UpstreamObject]:
        """Objects of a bucket in byte order, a page a call."""
        begin, last = f"{bucket}/{prefix}", after.encode()
        while True:
            await self.reach("objects", begin)
            there = sorted((name.encode(), name) for name in self.upstream.objects if name.startswith(begin))
            page = [name for encoded, name in there if encoded > last][: self.upstream.page]
            for found in [_described(name, self.upstream.objects[name]) for name in page]:
                yield found
            if len(page) < self.upstream.page:
                return
            last = page[-1].encode()


def _described(name: str, held: Held, whole: Held | None = None) -> UpstreamObject:
    bucket, _, key = name.partition("/")
    return UpstreamObject(
        name=name,
        bucket=bucket,
        key=key,
        size=len(held.data),
        token=held.token,
        fingerprint=held.etag,
        etag=held.etag,
        modified=held.modified,
        headers=whole.headers if whole else {},
        metadata=whole.metadata if whole else {},
    )


class NativeMemoryStaged(NativeStaged):
    """A write of an object."""

    def __init__(self, backend: NativeMemoryBackend, name: str, target: Target) -> None:
        self.name = name
        self.target = target
        self.blob_name = backend.name_of(target.bucket, target.key)
        self._backend, self._upstream = backend, backend.upstream
        self._published: Blob | None = None
        self._etag = ""
        self._begin()

    def _begin(self) -> None:
        self._upstream.staged[self.name] = bytearray()
        self._backend.writes.add(self.name)

    async def write(self, data: Buffer) -> None:
        """Append."""
        copied = bytes(data)
        await self._backend.reach("write", self.name)
        self._upstream.staged[self.name] += copied
        await self._backend.reach("write answered", self.name)

    async def seal(self) -> str:
        """Say the MD5."""
        await self._backend.reach("seal", self.name)
        self._etag = self._sealed()
        await self._backend.reach("seal answered", self.name)
        return self._etag

    def _sealed(self) -> str:
        return hashlib.md5(self._upstream.staged[self.name]).hexdigest()  # noqa: S324 - an ETag is one

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Make the object."""
        if not self._etag:
            await self.seal()
        await self._backend.reach("publish", self.blob_name)
        blob = self._publish(expect)
        self._forget()
        await self._backend.reach("publish answered", self.blob_name)
        self._published = blob
        return blob

    def _publish(self, expect: str | None) -> Blob:
        self._upstream.check(self.blob_name, expect)
        return self._held(bytes(self._upstream.staged[self.name]))

    def _held(self, data: bytes) -> Blob:
        held = self._upstream.hold(self.blob_name, data, self._etag, self.target)
        return Blob(name=self.blob_name, size=len(data), token=held.token)

    def _forget(self) -> None:
        self._upstream.staged.pop(self.name, None)
        self._backend.writes.discard(self.name)

    async def settle(self) -> None:
        """Nothing is tracked."""

    async def discard(self) -> None:
        """Remove what is staged, and what was published where it is still there."""
        try:
            await self._backend.reach("discard", self.name)
        except StorageFault:
            return
        except asyncio.CancelledError:
            self._discard()
            raise
        self._discard()

    def _discard(self) -> None:
        self._forget()
        published, self._published = self._published, None
        held = published and self._upstream.objects.get(published.name)
        if published and held and held.token == published.token:
            del self._upstream.objects[published.name]


class NativeMemoryCopy(NativeMemoryStaged):
    """A copy of an object, maybe onto itself."""

    def __init__(self, backend: NativeMemoryBackend, name: str, source: Blob, target: Target) -> None:
        self.source = source
        super().__init__(backend, name, target)

    def _begin(self) -> None:
        """There are no pieces."""

    def _sealed(self) -> str:
        return self._upstream.source(self.source).etag

    def _publish(self, expect: str | None) -> Blob:
        source = self._upstream.source(self.source)
        self._upstream.check(self.blob_name, expect)
        return self._held(source.data)


class NativeMemoryPart(NativeMemoryStaged):
    """A write of a part."""

    source: tuple[Blob, int, int] | None = None
    """What it is a copy of: start and length within it."""

    def __init__(self, backend: NativeMemoryBackend, upload: NativeUpload, number: int, name: str) -> None:
        super().__init__(backend, name, upload.target)
        self.upload = upload
        self.blob_name = f"{RESERVED}/parts/{upload.name}/{number:05}-{name}"

    def _sealed(self) -> str:
        self._copy()
        return super()._sealed()

    def _copy(self) -> None:
        if self.source is not None:
            source, start, length = self.source
            copied = self._upstream.source(source).data[start : start + length]
            self._upstream.staged[self.name] = bytearray(copied)

    def _publish(self, expect: str | None) -> Blob:
        self._copy()
        data = bytes(self._upstream.staged[self.name])
        self._upstream.parts_of(self.upload)[self.blob_name] = data
        token = None if self._upstream.parts_are_blobs else self._etag
        return Blob(name=self.blob_name, size=len(data), token=token)

    def _discard(self) -> None:
        self._forget()
        self._upstream.parts.pop(self.blob_name, None)
        if self.upload.handle in self._upstream.uploads:
            self._upstream.uploads[self.upload.handle].parts.pop(self.blob_name, None)


class NativeMemoryAssembly(NativeMemoryStaged):
    """An upload that becomes an object."""

    def __init__(
        self, backend: NativeMemoryBackend, upload: NativeUpload, parts: Sequence[NativePart]
    ) -> None:
        super().__init__(backend, upload.name, upload.target)
        self.upload = upload
        self.names = [part.blob.name for part in parts]

    def _begin(self) -> None:
        """There are no pieces."""

    def _pieces(self) -> list[bytes]:
        kept = self._upstream.parts_of(self.upload)
        if absent := [name for name in self.names if name not in kept]:
            raise BlobMissing(f"{absent[0]} is not a part of the upload")
        return [kept[name] for name in self.names]

    def _sealed(self) -> str:
        pieces = self._pieces()
        digests = b"".join(hashlib.md5(piece).digest() for piece in pieces)  # noqa: S324
        return f"{hashlib.md5(digests).hexdigest()}-{len(pieces)}"  # noqa: S324

    def _publish(self, expect: str | None) -> Blob:
        pieces = self._pieces()
        self._upstream.check(self.blob_name, expect)
        self._upstream.uploads.pop(self.upload.handle, None)
        return self._held(b"".join(pieces))


class NativeMemoryReader(BlobReader):
    """A span of one state of an object."""

    def __init__(self, backend: NativeMemoryBackend, name: str, data: bytes) -> None:
        self._backend, self._name = backend, name
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""
        for at in range(0, len(self._data), PIECE):
            await self._backend.reach("read", self._name)
            yield self._data[at : at + PIECE]

    async def close(self) -> None:
        """Let the bytes go."""
        self._data = b""
