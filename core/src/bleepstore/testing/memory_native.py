"""A storage backend of native layout in memory, and the upstream that it talks to.

What is stored is in an :class:`Upstream`, which outlives the backends over it as a cloud does: a second
:class:`NativeMemoryBackend` over the same one is a restarted server, or another worker. Tests look at it
(``upstream.objects["bucket/key"].data``), change it behind the gateway's back (:meth:`Upstream.put`,
:meth:`Upstream.remove`), and step in at any call::

    upstream.fail("publish", Unavailable("upstream is down"), times=3)
    upstream.when("publish", lambda: upstream.put("bucket", "key", b"somebody was faster"))
    upstream.fail("publish answered", Unavailable("nobody knows the outcome"))
    upstream.when("publish answered", upstream.kill)
    pause = upstream.pause("publish")           # await pause.reached.wait() ... pause.resume()

Each call has two points: its name (``start open read delete stat write seal publish discard begin_upload
abort_upload buckets objects``) before it has any effect, and ``NAME answered`` after that, before the
caller learns of it. ``*`` is every call's first point.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    TokenMismatch,
    Unavailable,
    Unsupported,
)

PIECE = 1024 * 1024
"""Bytes that a reader yields at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One object as upstream holds it."""

    data: bytes
    token: str
    etag: str
    """As S3 says it: the MD5, or ``MD5-N`` of parts. It is the fingerprint as well."""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    modified: int = 0
    """Milliseconds since 1970."""


@dataclass(slots=True)
class Upload:
    """One multipart upload as upstream keeps it."""

    target: Target
    parts: dict[str, bytes] = field(default_factory=dict)
    """By the names of the parts' blobs: a number may be there more than once."""


class Pause:
    """A call that waits at its point."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        """Set when the call is there."""
        self._going_on = asyncio.Event()

    def resume(self) -> None:
        """Let the call go on."""
        self._going_on.set()

    async def wait(self) -> None:
        """Stand still."""
        self.reached.set()
        await self._going_on.wait()


class Upstream:
    """What a cloud would be.

    ``content_tokens``: the same bytes have the same token, as ETags do; else each write has a new one,
    as generations do. ``parts_are_blobs``: parts are blobs that the core deletes; else the end of their
    upload removes them. ``copies``: it copies by itself. ``longest``: bytes of a name. ``page``: objects
    that one call of a listing gives, without headers and metadata.
    """

    def __init__(
        self,
        *,
        content_tokens: bool = False,
        parts_are_blobs: bool = False,
        copies: bool = True,
        longest: int | None = None,
        page: int = 1000,
    ) -> None:
        self.content_tokens, self.parts_are_blobs, self.copies = content_tokens, parts_are_blobs, copies
        self.longest, self.page = longest, page
        self.store_id = ""
        self.objects: dict[str, Held] = {}
        """By the names of blobs: ``bucket/key``."""
        self.uploads: dict[str, Upload] = {}
        """By their handles."""
        self.parts: dict[str, bytes] = {}
        """Parts that are blobs."""
        self.staged: dict[str, bytearray] = {}
        """Invisible writes under way, by the names that the core gave them."""
        self.calls: list[tuple[str, str]] = []
        """Every call that came, and the name it was about."""
        self.life = 0
        """Backends of an earlier life are dead: see :meth:`kill`."""
        self._numbers = itertools.count(1)
        self._actions: list[tuple[str, Callable[[], Any], int]] = []

    # --- behind the gateway's back ----------------------------------------------------------------------

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Held:
        """Write an object as the cloud's own client does."""
        target = Target(bucket=bucket, key=key, headers=headers or {}, metadata=metadata or {})
        return self.hold(f"{bucket}/{key}", data, hashlib.md5(data).hexdigest(), target)  # noqa: S324

    def remove(self, bucket: str, key: str) -> None:
        """Delete an object as the cloud's own client does."""
        del self.objects[f"{bucket}/{key}"]

    def traces(self) -> list[str]:
        """Names of everything there is, visible or not."""
        inside = (f"{handle} {name}" for handle, upload in self.uploads.items() for name in upload.parts)
        return [*self.objects, *self.staged, *self.uploads, *self.parts, *inside]

    # --- stepping in ------------------------------------------------------------------------------------

    def when(self, point: str, action: Callable[[], Any], *, times: int = 1) -> None:
        """Do something when the next call (the next ``times`` calls) comes to a point.

        What ``action`` raises the call raises, and what it returns is awaited if it can be.
        """
        self._actions.append((point, action, times))

    def fail(self, point: str, fault: BaseException, *, times: int = 1) -> None:
        """Let the next ``times`` calls fail at a point."""

        def raise_it() -> None:
            raise fault

        self.when(point, raise_it, times=times)

    def pause(self, point: str) -> Pause:
        """Let the next call wait at a point."""
        pause = Pause()
        self.when(point, pause.wait)
        return pause

    def heal(self) -> None:
        """Forget what was asked of :meth:`when`, :meth:`fail` and :meth:`pause` and did not happen yet."""
        self._actions.clear()

    def kill(self) -> None:
        """Cut off every backend there is, as if its process had died: nothing it does reaches us now."""
        self.life += 1
        self.staged.clear()

    async def reach(self, point: str, name: str, life: int) -> None:
        """A call of a backend of that life comes to a point."""
        await asyncio.sleep(0)
        self._alive(life)
        first = not point.endswith(" answered")
        if first:
            self.calls.append((point, name))
        for n, (at, action, times) in enumerate(self._actions):
            if at == point or (first and at == "*"):
                self._actions[n : n + 1] = [(at, action, times - 1)] if times > 1 else []
                if inspect.isawaitable(result := action()):
                    await result
                break
        self._alive(life)

    def _alive(self, life: int) -> None:
        if life != self.life:
            raise Unavailable("this backend was stopped, or its process was killed")

    # --- what a cloud does ------------------------------------------------------------------------------

    def check(self, name: str, expect: str | None) -> None:
        """The precondition: the token now, ``""`` for absence, ``None`` for none."""
        held = self.objects.get(name)
        if expect is not None and expect != (held.token if held else ""):
            raise TokenMismatch(f"{name}: at {held.token if held else 'nothing'}, not at {expect!r}")

    def at(self, blob: Blob) -> Held:
        """An object at exactly its token."""
        held = self.objects.get(blob.name)
        if held is None:
            raise BlobMissing(blob.name)
        self.check(blob.name, blob.token or "")
        return held

    def source(self, blob: Blob) -> Held:
        """What is copied; another state of it is a missing one."""
        try:
            return self.at(blob)
        except TokenMismatch as error:
            raise BlobMissing(str(error)) from error

    def hold(self, name: str, data: bytes, etag: str, target: Target) -> Held:
        """Store an object."""
        number = next(self._numbers)
        self.objects[name] = held = Held(
            data=data,
            token=etag if self.content_tokens else str(number),
            etag=etag,
            headers=dict(target.headers),
            metadata=dict(target.metadata),
            modified=time.time_ns() // 1_000_000,
        )
        return held

    def new_upload(self, target: Target) -> str:
        """Begin an upload."""
        handle = f"upload-{next(self._numbers)}"
        self.uploads[handle] = Upload(target)
        return handle

    def parts_of(self, upload: NativeUpload) -> dict[str, bytes]:
        """Where the parts of an upload are."""
        if self.parts_are_blobs:
            return self.parts
        if upload.handle not in self.uploads:
            raise BlobMissing(f"there is no upload {upload.handle!r}")
        return self.uploads[upload.handle].parts


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
