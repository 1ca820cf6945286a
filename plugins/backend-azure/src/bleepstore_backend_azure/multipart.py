"""Multipart uploads: blocks on a private blob of the upload.

::

    .bleepstore/uploads/UPLOAD        blocks of all its parts, uncommitted until it is completed

The id of a block is the name of the write of its part and a number, so that two uploads of one key, two
parts, and two writes of one part never touch each other's blocks. All ids are of one length, as the
service demands. A part's token says how many blocks it has; a part without bytes has none.

Completing commits the blocks of the chosen parts, in their order, and copies the private blob over the
object on a condition (see ``publishing``). The commit drops blocks of no part that was chosen, so it comes
as late as it can: in ``publish``, after a look at the condition. Until ``abort_upload`` the private
blob stays, and the same parts may be completed again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient
from bleepstore.native import NativePart, NativeUpload
from bleepstore.storage import Blob, BlobMissing, StorageFault, TokenMismatch, Unavailable, Unsupported

from bleepstore_backend_azure import names
from bleepstore_backend_azure.calls import MIB, SLOW_SECONDS, quoted, token_of
from bleepstore_backend_azure.faults import kind
from bleepstore_backend_azure.objects import fingerprint, path_of, settings_of
from bleepstore_backend_azure.publishing import copy, remove
from bleepstore_backend_azure.staging import MOST_BLOCKS, AzureBody, AzureStaged

if TYPE_CHECKING:
    from bleepstore_backend_azure.backend import AzureBackend

COPIED_BLOCK = 256 * MIB
"""Bytes that the service copies into one block: it may take 4,000 MiB, but answers late."""
LARGER = 4
"""How many times larger than others the blocks of large parts may be."""


def private_name(upload: NativeUpload) -> str:
    """The private blob of an upload."""
    return f"{names.UPLOADS}/{upload.name}"


def part_blob(upload: NativeUpload, name: str, blocks: int, size: int) -> Blob:
    """A part as metadata remembers it."""
    return Blob(name=f"{private_name(upload)}/{name}", size=size, token=str(blocks))


def block_ids(part: Blob) -> list[str]:
    """The ids of a part's blocks, in order."""
    name = part.name.rpartition("/")[2]
    return [f"{name}{n:06d}" for n in range(int(part.token or 0))]


class AzurePart(AzureBody):
    """A write of a part: blocks, from the first byte on."""

    def __init__(self, backend: AzureBackend, upload: NativeUpload, name: str, size: int | None) -> None:
        # Ten thousand parts have five blocks each. More memory than this is not taken for that.
        block = min(max(backend.block, -(-(size or 0) // (5 * MIB)) * MIB), LARGER * backend.block)
        super().__init__(backend, name, upload.target, size, block=block)
        self._upload = upload
        self._private = backend.blob(private_name(upload))

    def seal_blocking(self) -> str:
        """Stage what is left."""
        rest = self.filling.rest()
        if rest is not None and rest.filled:
            self._stage_block(rest)
        return fingerprint(self.size, self._md5.digest(), None)

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Nothing is left to do: the blocks are there."""
        await self.seal()
        return part_blob(self._upload, self.name, len(self._ids), self.size)

    def remove_blocking(self) -> None:
        """Blocks cannot be removed one by one: the upload's end drops them."""


class AzurePartCopy(AzurePart):
    """A copy into a part, done by the service block by block."""

    def __init__(
        self, backend: AzureBackend, upload: NativeUpload, name: str, source: Blob, start: int, length: int
    ) -> None:
        super().__init__(backend, upload, name, length)
        self._source = source
        self._start = start
        self._length = length

    def seal_blocking(self) -> str:
        """Have the service stage the blocks."""
        source = self.backend.blob(self._source.name)
        url, authorization = self.backend.readable(source)
        headers = {"x-ms-source-if-match": quoted(self._source.token)} if self._source.token else {}
        for at in range(self._start, self._start + self._length, COPIED_BLOCK):
            block_id = f"{self.name}{len(self._ids):06d}"
            length = min(COPIED_BLOCK, self._start + self._length - at)
            try:
                self._private.stage_block_from_url(
                    block_id,
                    url,
                    at,
                    length,
                    source_authorization=authorization,
                    headers=headers,
                    read_timeout=SLOW_SECONDS,
                )
            except HttpResponseError as error:
                if kind(error) is TokenMismatch:
                    raise BlobMissing(f"{self._source.name}: is not there at its token") from error
                raise
            self._ids.append(block_id)
        self.size = self._length
        return fingerprint(self.size, None, path_of(self._private.url))


class AzureAssembly(AzureStaged):
    """An upload that becomes an object."""

    def __init__(self, backend: AzureBackend, upload: NativeUpload, parts: Sequence[NativePart]) -> None:
        super().__init__(backend, upload.name, upload.target)
        self._metadata = names.metadata_out(upload.target.metadata)
        self._private = backend.blob(private_name(upload))
        self.size = sum(part.blob.size for part in parts)
        self._ids = [block_id for part in parts for block_id in block_ids(part.blob)]
        if len(self._ids) > MOST_BLOCKS:
            raise Unsupported(f"{self.blob_name}: more than {MOST_BLOCKS} blocks: see block_mib")

    def seal_blocking(self) -> str:
        """Nothing is done yet: a commit would drop the other parts."""
        return fingerprint(self.size, None, path_of(self._private.url))

    def publish_blocking(self, expect: str | None) -> str:
        """Commit the private blob, and copy it over the object."""
        if expect is not None:
            self._look(expect)
        self._private.commit_block_list(
            [BlobBlock(block_id) for block_id in self._ids],
            content_settings=settings_of(self._target, None),
            metadata=self._metadata,
            read_timeout=SLOW_SECONDS,
        )
        return copy(self._private, self._to, expect=expect)

    def _look(self, expect: str) -> None:
        """Raise TokenMismatch early, while the other parts are still there."""
        properties = self.backend.look(self.blob_name)
        found = token_of(properties.etag) if properties is not None else ""
        if found != expect:
            raise TokenMismatch(f"{self.blob_name}: is at {found or 'nothing'}, not at {expect or 'nothing'}")

    async def settle(self) -> None:
        """The upload is over."""
        with contextlib.suppress(StorageFault):
            await self.backend.calls.finish(self.blob_name, remove, self._private)


def can_copy_from_url(private: BlobClient) -> bool:
    """Whether the service can copy into a block (emulators cannot). Nothing is left of the question.

    The source does not exist, which a service that can do it says.
    """
    source = f"{private.url.partition('?')[0]}-no-such-blob"
    try:
        private.stage_block_from_url("none", source)
    except HttpResponseError as error:
        if kind(error) is Unavailable:
            raise
        return kind(error) is not Unsupported
    return True
