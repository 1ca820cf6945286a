"""What the tests of native layout stand on, and what a backend declares."""

from __future__ import annotations

import contextlib
import hashlib
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import pytest

from bleepstore.native import NativeBackend, NativePart, NativeStaged, NativeUpload
from bleepstore.storage import Blob, StagedBlob, StorageBackend, Target, Unsupported
from bleepstore.testing.storage import MIB, StorageKit

BUCKET = "kit"
HEADERS: Mapping[str, str] = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "max-age=60, no-transform",
    "content-disposition": 'attachment; filename="a b.txt"',
    "content-encoding": "gzip",
    "content-language": "de, en-GB",
    "expires": "Wed, 21 Oct 2099 07:28:00 GMT",
}
"""All system headers that an object of S3 has, with values that are easily spoilt."""


class CloudKit(StorageKit):
    """A backend of native layout as the kit sees it: what it declares, and calls as the core makes them."""

    kept_headers: ClassVar[frozenset[str]] = frozenset(HEADERS)
    """Headers that upstream has a place for; metadata alone keeps the others."""
    keeps_case: ClassVar[bool] = True
    """Names of user metadata keep their case upstream."""
    fingerprints: ClassVar[bool] = True
    """``seal`` and ``stat`` say the same of the same bytes. Without it what a crash cut off is adopted."""
    copies: ClassVar[bool] = True
    """Upstream copies objects; without it ``stage_copy`` may raise Unsupported."""
    copies_parts: ClassVar[bool] = True
    """Upstream copies spans into parts; without it ``stage_part_copy`` may raise Unsupported."""
    part_size: ClassVar[int] = 5 * MIB
    """Bytes of a part that is not the last: what upstream takes as one."""
    most_memory: ClassVar[int | None] = 48 * MIB
    """Bytes that one write or read of any size may take; ``None`` for what stores in memory."""

    def may_refuse(self, key: str) -> bool:
        """Whether a key may be more than upstream can hold; others must be held. Override it."""
        return False

    # --- what the tests stand on ------------------------------------------------------------------

    @pytest.fixture
    def native(self, storage: StorageBackend) -> NativeBackend:
        """A started backend."""
        assert isinstance(storage, NativeBackend)
        return storage

    def target(
        self, key: str = "a key", *, bucket: str = BUCKET, metadata: Mapping[str, str] | None = None
    ) -> Target:
        """An object that is to be."""
        headers = {"content-type": "text/plain"}
        return Target(bucket=bucket, key=key, headers=headers, metadata=metadata or {})

    async def publish(self, staged: StagedBlob, *, expect: str | None = None) -> Blob:
        """Seal, and publish."""
        assert isinstance(staged, NativeStaged)
        await staged.seal()
        return await staged.publish(expect=expect)

    async def write(self, staged: NativeStaged, *pieces: bytes, expect: str | None = None) -> Blob:
        """Write, seal, publish and settle."""
        try:
            for piece in pieces:
                await staged.write(piece)
            blob = await self.publish(staged, expect=expect)
        except BaseException:
            await staged.discard()
            raise
        await staged.settle()
        return blob

    async def put_target(self, native: NativeBackend, name: str, target: Target, *pieces: bytes) -> Blob:
        """Write an object."""
        staged = await native.stage(name, size=sum(map(len, pieces)), target=target)
        return await self.write(staged, *pieces)

    async def begin(self, native: NativeBackend, name: str, target: Target | None = None) -> NativeUpload:
        """Begin a multipart upload."""
        target = target or self.target()
        return NativeUpload(name=name, handle=await native.begin_upload(name, target), target=target)

    async def put_part(
        self, native: NativeBackend, upload: NativeUpload, number: int, name: str, data: bytes
    ) -> NativePart:
        """Write a part, in two pieces."""
        staged = await native.stage_part(upload, number, name, size=len(data))
        half = len(data) // 2
        pieces = [piece for piece in (data[:half], data[half:]) if piece]
        return NativePart(number=number, blob=await self.write(staged, *pieces))

    async def complete(
        self,
        native: NativeBackend,
        upload: NativeUpload,
        parts: Sequence[NativePart],
        *,
        expect: str | None = None,
    ) -> Blob:
        """Make the object, and on failure leave the upload as it is."""
        return await self.write(await native.stage_upload(upload, parts), expect=expect)

    async def forget(
        self, native: NativeBackend, upload: NativeUpload, written: Sequence[NativePart]
    ) -> None:
        """End an upload as the core does: parts without a token are deleted, then it is aborted."""
        for part in written:
            if part.blob.token is None:
                await native.delete(part.blob.name)
        await native.abort_upload(upload)

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        """Fail if more memory than declared was needed at once."""
        if self.most_memory is None:
            yield
            return
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            yield
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert peak <= self.most_memory


def unless_refused(*, possible: bool) -> contextlib.AbstractContextManager[None]:
    """Let Unsupported pass where a backend declares that it cannot do a thing."""
    return contextlib.nullcontext() if possible else contextlib.suppress(Unsupported)


def md5(data: bytes) -> str:
    """The S3 ETag of bytes that came in one piece."""
    return hashlib.md5(data).hexdigest()  # noqa: S324 - that is what an ETag is
