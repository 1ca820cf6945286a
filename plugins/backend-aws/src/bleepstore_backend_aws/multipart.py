"""Multipart uploads, one to one: the handle is the UploadId upstream, a part's token its ETag.

A part is spooled (see ``spooling``) and sent by one UploadPart when it is published, that is after
its digests were compared: upstream has one part of a number, the last that was sent. What was
replaced by another part since cannot be completed any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bleepstore.native import NativePart, NativeUpload
from bleepstore.storage import Blob, BlobMissing, Buffer, Unsupported

from bleepstore_backend_aws import uploading
from bleepstore_backend_aws.calls import MIB
from bleepstore_backend_aws.publishing import Wanted
from bleepstore_backend_aws.spooling import Spool
from bleepstore_backend_aws.staging import AwsStaged, combined, keep

if TYPE_CHECKING:
    from bleepstore_backend_aws.backend import AwsBackend

SMALLEST_SOURCE = 5 * MIB
"""UploadPartCopy takes a span only of what is larger."""


def arguments(backend: AwsBackend, upload: NativeUpload) -> dict[str, str]:
    """Arguments that say which upload."""
    blob_name = backend.name_of(upload.target.bucket, upload.target.key)
    return {**backend.upstream.at(blob_name), "UploadId": upload.handle}


class AwsPart(AwsStaged):
    """A write of a part. Nothing upstream removes a part but the end of its upload."""

    def __init__(self, backend: AwsBackend, upload: NativeUpload, number: int, name: str) -> None:
        super().__init__(backend, name, name)
        self._upload = arguments(backend, upload)
        self._number = number
        self._spool = Spool(backend.budget)

    async def write(self, data: Buffer) -> None:
        """Append."""
        await self.finish()
        await keep(self, self._spool, bytes(data))
        self.size = self._spool.size

    def seal_blocking(self) -> str:
        """Nothing is sent before it was compared."""
        return self._spool.body()[1].hex()

    def publish_blocking(self, expect: str | None) -> str:
        """Send it."""
        return uploading.send(self.backend, self._upload, self._number, *self._spool.body())

    def has_traces(self) -> bool:
        """None that it could remove."""
        return False

    def release(self) -> None:
        """The spool."""
        self._spool.close()


class AwsPartCopy(AwsStaged):
    """A copy of a span of an object into a part, within upstream."""

    long = True

    def __init__(
        self,
        backend: AwsBackend,
        upload: NativeUpload,
        number: int,
        name: str,
        source: Blob,
        start: int,
        end: int,
    ) -> None:
        super().__init__(backend, name, name)
        whole = (start, end) == (0, source.size)
        if not backend.honoured.copy or source.token is None:
            raise Unsupported("upstream ignores preconditions of copies")
        if not whole and source.size <= SMALLEST_SOURCE:
            raise Unsupported("upstream copies no span of a small object")
        span = None if whole else (start, end)
        self._source: dict[str, Any] = uploading.copy_source(
            backend.upstream, source.name, source.token, span
        )
        self._upload = arguments(backend, upload)
        self._number = number
        self.size = end - start

    def seal_blocking(self) -> str:
        """Nobody knows it before."""
        return ""

    def publish_blocking(self, expect: str | None) -> str:
        """Copy it."""
        return uploading.copy(self._upstream, self._upload, self._number, self._source)

    def has_traces(self) -> bool:
        """None that it could remove."""
        return False


class AwsAssembly(AwsStaged):
    """The object that is made of an upload's parts."""

    long = True

    def __init__(self, backend: AwsBackend, upload: NativeUpload, parts: Sequence[NativePart]) -> None:
        target = upload.target
        super().__init__(backend, upload.name, backend.name_of(target.bucket, target.key))
        self._target = target
        self._upload = arguments(backend, upload)
        self.size = sum(part.blob.size for part in parts)
        self._parts = []
        for part in parts:
            if not part.blob.token:
                raise BlobMissing(f"part {part.number} of {self.blob_name} has no token")
            self._parts.append((part.number, part.blob.token))

    def seal_blocking(self) -> str:
        """The ETag of such parts."""
        try:
            return combined([bytes.fromhex(token) for _, token in self._parts])
        except ValueError:  # ETags that tell nothing
            return ""

    def publish_blocking(self, expect: str | None) -> str:
        """Complete the upload."""
        assert self.fingerprint is not None
        wanted = Wanted(name=self.blob_name, fingerprint=self.fingerprint, target=self._target, expect=expect)
        return uploading.complete(self.backend, self._upload, self._parts, wanted)
