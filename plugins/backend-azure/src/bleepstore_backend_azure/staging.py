"""One write: bytes in memory, or blocks on a private blob, then the object.

A body that fits one block stays in memory and is published by one Put Blob. A larger one is staged as
blocks of a private blob, ``.bleepstore/staging/NAME``: committing a block list destroys the blocks of
a blob that are not in it, so that two writers of one key must not stage on the blob itself. Sealing
commits the private blob with the object's headers, metadata and Content-MD5; publishing copies it over
the object on a condition (see ``publishing``), and removes it.

A write holds two blocks at most: one is sent while the next is received; and one only while all writes
together hold more than their limit.

Whoever is cancelled stops waiting, but the call in its thread goes on, and the next begins when it is
over. What has failed stays failed, but for a condition that was not met.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient
from bleepstore.native import NativeStaged
from bleepstore.storage import Blob, BlobMissing, Buffer, StorageFault, Target, TokenMismatch, Unsupported

from bleepstore_backend_azure import names
from bleepstore_backend_azure.calls import SLOW_SECONDS, Retried, at, token_of
from bleepstore_backend_azure.faults import kind
from bleepstore_backend_azure.objects import fingerprint, md5_of, settings_of
from bleepstore_backend_azure.publishing import copy, remove
from bleepstore_backend_azure.spooling import Block

if TYPE_CHECKING:
    from collections.abc import Callable

    from bleepstore_backend_azure.backend import AzureBackend

log = logging.getLogger("bleepstore.azure")

MOST_BLOCKS = 50_000
"""Blocks of one blob."""

P = ParamSpec("P")
T = TypeVar("T")


class AzureStaged(NativeStaged):
    """What all writes are: one call at a time, seal, publish, discard. The hooks run in threads."""

    _size = 0
    _staged = False
    """There may be something on the private blob."""

    def __init__(self, backend: AzureBackend, name: str, target: Target) -> None:
        self.name = name
        self._backend = backend
        self._target = target
        self._blob_name = backend.name_of(target.bucket, target.key)
        self._to = backend.blob(self._blob_name)
        self._fingerprint: str | None = None
        self._published: str | None = None
        self._running: asyncio.Future[Any] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._private: BlobClient

    @abstractmethod
    def _seal(self) -> str:
        """Bring all to where it can be published from; the fingerprint."""

    @abstractmethod
    def _publish(self, expect: str | None) -> str:
        """Make it the object, on the condition; the token."""

    async def write(self, data: Buffer) -> None:
        """There are no pieces, but in :class:`AzureBody`."""
        raise Unsupported("a copy has no pieces")

    async def _finish(self) -> None:
        """Wait for the call under way. Raises what it raised, each time."""
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._finish()
        running = self._backend.calls.run(self._blob_name, work, *args, **kwargs)
        self._running = running
        result = await asyncio.shield(running)
        self._running = None
        return result

    async def seal(self) -> str:
        """Finish the invisible part."""
        if self._fingerprint is None:
            self._fingerprint = await self._run(self._seal)
        return self._fingerprint

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Replace the object."""
        await self.seal()
        try:
            token = await self._run(self._publish, expect)
        except TokenMismatch:
            self._running = None  # it may be asked again, with another ``expect``
            raise
        # Not before: whoever is cancelled does not know, and what was published stays.
        self._published = token
        return Blob(name=self._blob_name, size=self._size, token=token)

    async def settle(self) -> None:
        """Nothing is tracked: the private blob is gone already."""

    async def discard(self) -> None:
        """Remove all traces, to the end even when cancelled."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._discard(), name=f"discard {self.name}")
        await asyncio.shield(self._ending)

    async def _discard(self) -> None:
        if self._running is not None:
            await asyncio.wait((self._running,))
            self._running.exception()
        if self._staged or self._published is not None:
            try:
                await self._backend.calls.finish(self._blob_name, self._remove)
            except StorageFault as fault:
                log.warning("write %s is left to upkeep: %s", self.name, fault)

    def _remove(self) -> None:
        if self._published is not None:
            with contextlib.suppress(TokenMismatch):
                self._backend.delete_at(self._blob_name, self._published)
        if self._staged:
            remove(self._private)


class AzureBody(AzureStaged):
    """A write of pieces."""

    def __init__(self, backend: AzureBackend, name: str, target: Target, size: int | None) -> None:
        super().__init__(backend, name, target)
        self._metadata = names.metadata_out(target.metadata)
        self._block = backend.block
        self._first = backend.block if size is None else min(size, backend.block)
        """Bytes of the first buffer, which may be all that there is."""
        self._filling: Block | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._ids: list[str] = []
        self._body = b""
        self._private = backend.blob(f"{names.STAGING}/{name}")

    async def write(self, data: Buffer) -> None:
        """Append; returns while a block is being sent, and raises for the one before."""
        if self._running is not None and self._running.done():
            await self._finish()
        view = memoryview(data)
        while view:
            if self._filling is None or not self._filling.room:
                await self._next_block()
            assert self._filling is not None
            view = view[self._filling.append(view) :]

    async def _next_block(self) -> None:
        """Send the block that is full, after the one before, and begin another."""
        if self._filling is not None:
            await self._finish()
            block, self._filling = self._filling, None
            self._running = self._backend.calls.run(self._blob_name, self._stage_block, block)
            del block
            if self._backend.buffers.scarce:
                await self._finish()
        size, self._first = self._first or self._block, self._block
        self._filling = self._backend.buffers.take(size)

    def _stage_block(self, block: Block) -> None:
        if len(self._ids) >= MOST_BLOCKS:
            raise Unsupported(f"{self._blob_name}: more than {MOST_BLOCKS} blocks: see block_mib")
        data = block.bytes() if block.room else block.data
        self._md5.update(data)
        self._size += len(data)
        block_id = f"{self.name}{len(self._ids):06d}"
        self._staged = True
        # Anything that has bytes is sent as it is; the SDK's types know of ``bytes`` alone.
        self._private.stage_block(block_id, cast(bytes, data), length=len(data))
        self._ids.append(block_id)

    def _rest(self) -> Block | None:
        """What is left to be sent. Once."""
        rest, self._filling = self._filling, None
        return rest

    def _seal(self) -> str:
        rest = self._rest()
        if not self._ids:
            self._body = rest.bytes() if rest is not None else b""
            self._md5.update(self._body)
            self._size = len(self._body)
        else:
            if rest is not None:
                self._stage_block(rest)
            self._private.commit_block_list(
                [BlobBlock(block_id) for block_id in self._ids],
                content_settings=settings_of(self._target, self._md5.digest()),
                metadata=self._metadata,
                read_timeout=SLOW_SECONDS,
            )
        return fingerprint(self._size, self._md5.digest(), None)

    def _publish(self, expect: str | None) -> str:
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
            raise TokenMismatch(f"{self._blob_name}: is not at {expect or 'nothing'}") from error
        return token_of(done["etag"])

    def _own(self, expect: str) -> str | None:
        """The object's token if an attempt whose answer was lost has made it what it is."""
        found = self._backend.look(self._blob_name)
        if found is None:
            return None
        token = token_of(found.etag)
        same = md5_of(found) == self._md5.digest() and found.size == self._size
        return token if same and token != expect and found.metadata == self._metadata else None
