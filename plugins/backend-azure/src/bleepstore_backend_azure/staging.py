"""One write: bytes in memory, or blocks on a private blob, then the object.

A body that fits one block stays in memory and is published by one Put Blob. A larger one is staged as
blocks of a private blob, ``.bleepstore/staging/NAME``: committing a block list destroys the blocks of
a blob that are not in it, so that two writers of one key must not stage on the blob itself. Sealing
commits the private blob with the object's headers, metadata and Content-MD5; publishing copies it over
the object on a condition (see ``publishing``), and removes it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient
from bleepstore.native_calls import Block
from bleepstore.native_staging import Filling, ThreadedStaged
from bleepstore.storage import BlobMissing, Buffer, Target, TokenMismatch, Unsupported

from bleepstore_backend_azure import names
from bleepstore_backend_azure.calls import SLOW_SECONDS, Retried, at, token_of
from bleepstore_backend_azure.faults import kind
from bleepstore_backend_azure.objects import fingerprint, md5_of, settings_of
from bleepstore_backend_azure.publishing import copy, remove

if TYPE_CHECKING:
    from bleepstore_backend_azure.backend import AzureBackend

MOST_BLOCKS = 50_000
"""Blocks of one blob."""


class AzureStaged(ThreadedStaged["AzureBackend"]):
    """What all writes are."""

    _staged = False
    """There may be something on the private blob."""

    def __init__(self, backend: AzureBackend, name: str, target: Target) -> None:
        super().__init__(backend, name, backend.name_of(target.bucket, target.key))
        self._target = target
        self._to = backend.blob(self.blob_name)
        self._private: BlobClient

    def has_traces(self) -> bool:
        """Also on the private blob."""
        return self._staged or super().has_traces()

    def remove_blocking(self) -> None:
        """The object that was published, and the private blob."""
        super().remove_blocking()
        if self._staged:
            remove(self._private)


class AzureBody(AzureStaged):
    """A write of pieces."""

    def __init__(
        self,
        backend: AzureBackend,
        name: str,
        target: Target,
        size: int | None,
        *,
        block: int | None = None,
    ) -> None:
        super().__init__(backend, name, target)
        self._metadata = names.metadata_out(target.metadata)
        self.filling = Filling(backend.buffers, size=block or backend.block, expected=size)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._ids: list[str] = []
        self._body = b""
        self._private = backend.blob(f"{names.STAGING}/{name}")

    async def write(self, data: Buffer) -> None:
        """Append; returns while a block is being sent, and raises for the one before."""
        await self.filling.append(data, self, self._stage_block)

    def _stage_block(self, block: Block) -> None:
        if len(self._ids) >= MOST_BLOCKS:
            raise Unsupported(f"{self.blob_name}: more than {MOST_BLOCKS} blocks: see block_mib")
        data = block[:] if block.room else block.data
        self._md5.update(data)
        self.size += len(data)
        block_id = f"{self.name}{len(self._ids):06d}"
        self._staged = True
        # Anything that has bytes is sent as it is; the SDK's types know of ``bytes`` alone.
        self._private.stage_block(block_id, cast(bytes, data), length=len(data))
        self._ids.append(block_id)

    def seal_blocking(self) -> str:
        """Commit the private blob, if there is one."""
        rest = self.filling.rest()
        if not self._ids:
            self._body = rest[:] if rest is not None else b""
            self._md5.update(self._body)
            self.size = len(self._body)
        else:
            if rest is not None:
                self._stage_block(rest)
            self._private.commit_block_list(
                [BlobBlock(block_id) for block_id in self._ids],
                content_settings=settings_of(self._target, self._md5.digest()),
                metadata=self._metadata,
                read_timeout=SLOW_SECONDS,
            )
        return fingerprint(self.size, self._md5.digest(), None)

    def publish_blocking(self, expect: str | None) -> str:
        """Put what is in memory, or copy the private blob."""
        if not self._ids:
            return self._put(expect)
        token = copy(self._private, self._to, expect=expect)
        remove(self._private)
        self._staged = False
        return token

    def _put(self, expect: str | None) -> str:
        settings = settings_of(self._target, self._md5.digest())
        retried = Retried()
        try:
            done = self._to.upload_blob(
                self._body,
                length=len(self._body),
                overwrite=True,
                content_settings=settings,
                metadata=self._metadata,
                retry_hook=retried,
                **at(expect),
            )
        except HttpResponseError as error:
            if kind(error) not in (TokenMismatch, BlobMissing) or expect is None:
                raise
            if retried.yes and (token := self._own(expect)):
                return token
            raise TokenMismatch(f"{self.blob_name}: is not at {expect or 'nothing'}") from error
        return token_of(done["etag"])

    def _own(self, expect: str) -> str | None:
        """The object's token if an attempt whose answer was lost has made it what it is."""
        found = self.backend.look(self.blob_name)
        if found is None:
            return None
        token = token_of(found.etag)
        same = md5_of(found) == self._md5.digest() and found.size == self.size
        return token if same and token != expect and found.metadata == self._metadata else None

    def release(self) -> None:
        """What was not sent."""
        self.filling.rest()
        self._body = b""
