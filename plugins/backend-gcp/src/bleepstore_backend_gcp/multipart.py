"""Multipart uploads: parts are private objects, joined by compose.

::

    .bleepstore/uploads/UPLOAD/NUMBER-NAME      a part, NAME being that of its write
    .bleepstore/uploads/UPLOAD/TREE-LEVEL-N     a joint of up to 32 of them, while it is completed

The blob of a part has no token: the core deletes it by its name when no row knows it. ``abort_upload``
drops the folder, with whatever a crash has left there.

A compose takes 32 objects, so that more than these are joined by a tree, whose last level is
the object itself: that call alone has a condition. Joints have names of their own in each attempt, and are
removed when it is over. The CRC-32C of the whole is computed of those of the parts, which one listing
tells; so the service's own of the object proves that it is what was meant.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bleepstore.native import NativePart, NativeUpload
from bleepstore.storage import Blob, BlobMissing, Unsupported
from google.cloud.storage import Blob as Object

from bleepstore_backend_gcp import names
from bleepstore_backend_gcp.calls import numbers_of
from bleepstore_backend_gcp.objects import combined, decoded, fingerprint, known_by
from bleepstore_backend_gcp.publishing import Publication, Published
from bleepstore_backend_gcp.staging import GcpBody, GcpStaged

if TYPE_CHECKING:
    from bleepstore_backend_gcp.backend import GcpBackend

MOST = 32
"""Objects of one compose."""
AT_ONCE = 8
"""Composes, and removals, of one upload at once."""
LARGEST = 5 << 40


def folder(upload: NativeUpload) -> str:
    """Where the private objects of an upload are."""
    return f"{names.UPLOADS}{upload.name}/"


def part_name(upload: NativeUpload, number: int, name: str) -> str:
    """The private object of a part."""
    return f"{folder(upload)}{number:05d}-{name}"


class GcpPart(GcpBody):
    """A write of a part."""

    def __init__(
        self, backend: GcpBackend, upload: NativeUpload, number: int, name: str, size: int | None
    ) -> None:
        super().__init__(backend, name, upload.target, size, part_name(upload, number, name))

    def seal_blocking(self) -> str:
        """Make the part."""
        known = super().seal_blocking()
        if not self._staged:
            self._publication(known).put(self._body, self._crc)
            self._body = b""
        return known

    def _publication(self, known: str) -> Publication:
        self._staged = True
        return Publication(self.backend, self._private, None, known, "")

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Nothing is left to do: the part is there."""
        await self.seal()
        return Blob(name=self._private, size=self.size)


class GcpPartCopy(GcpPart):
    """A copy of a whole object into a part: the service copies no spans."""

    def __init__(
        self, backend: GcpBackend, upload: NativeUpload, number: int, name: str, source: Blob
    ) -> None:
        super().__init__(backend, upload, number, name, source.size)
        self._source = source

    def seal_blocking(self) -> str:
        """Rewrite the source."""
        token = self._source.token
        assert token is not None
        found = self.backend.at_token(self._source.name, token)
        self.size = found.size or 0
        known = known_by(found)
        self._publication(known).rewrite(self.backend.item(self._source.name), token)
        return known


class GcpAssembly(GcpStaged):
    """An upload that becomes an object."""

    def __init__(self, backend: GcpBackend, upload: NativeUpload, parts: Sequence[NativePart]) -> None:
        super().__init__(backend, upload.name, upload.target)
        self._upload = upload
        self._parts = [part.blob for part in parts]
        self.size = sum(part.size for part in self._parts)
        if self.size > LARGEST:
            raise Unsupported(f"{self.blob_name}: is larger than any object can be")
        self._joined: list[Object] = []
        self._joints: list[str] = []
        self._crc = 0

    def seal_blocking(self) -> str:
        """Find the parts."""
        there: dict[str, Object] = {
            self.backend.short(item.name): item for item in self.backend.listed(folder(self._upload))
        }
        spans = []
        for part in self._parts:
            found = there.get(part.name)
            if found is None or found.size != part.size:
                raise BlobMissing(f"{part.name}: the part is not there")
            spans.append((decoded(found.crc32c), part.size))
            if part.size:
                self._joined.append(self.backend.item(part.name, found.generation))
        self._crc = combined(spans)
        return fingerprint(self.size, self._crc)

    async def seal(self) -> str:
        """Join the parts to no more than one compose can take."""
        if self.fingerprint is None:
            known = await self.run(self.seal_blocking)
            tree, level = secrets.token_hex(8), 0
            while len(self._joined) > MOST:
                await self.wait_for(self._join(f"{folder(self._upload)}{tree}-{level}"))
                level += 1
            self.fingerprint = known
        return self.fingerprint

    async def _join(self, level: str) -> None:
        groups = [self._joined[n : n + MOST] for n in range(0, len(self._joined), MOST)]
        named = [(f"{level}-{n}", group) for n, group in enumerate(groups)]
        self._joints += [name for name, _ in named]
        free = asyncio.Semaphore(AT_ONCE)

        async def one(name: str, group: list[Object]) -> Object:
            async with free:
                return await self.backend.calls.run(name, self._compose, name, group)

        done: list[Any] = await asyncio.gather(*(one(*joint) for joint in named), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        self._joined = done

    def _compose(self, name: str, group: list[Object]) -> Object:
        done = Publication(self.backend, name, None, None, "").compose(group)
        return self.backend.item(name, numbers_of(done.token)[0])

    def make(self, publication: Publication) -> Published:
        """Compose it, on the condition."""
        published = publication.compose(self._joined) if self._joined else publication.put(b"", 0)
        self._drop_joints()
        return published

    def has_traces(self) -> bool:
        """Also joints."""
        return bool(self._joints) or super().has_traces()

    def remove_blocking(self) -> None:
        """The object that was published, and joints."""
        super().remove_blocking()
        self._drop_joints()

    def _drop_joints(self) -> None:
        joints, self._joints = self._joints, []
        for name in joints:
            self.backend.drop(name)
