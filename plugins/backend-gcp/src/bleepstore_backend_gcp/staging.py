"""One write: bytes in memory, or a private object, then the object.

A body that fits one buffer stays in memory and is published by one upload. A larger one is sent as it
comes, in whole buffers, by a resumable upload (see ``uploading``) to a private object,
``.bleepstore/staging/NAME``. Sealing finishes it, and the service compares its CRC-32C; publishing
rewrites it over the object on a condition (see ``publishing``), which copies no bytes, and removes it.

A write holds two buffers at most: one is sent while the next is received; and one only while all
writes together hold more than their limit.

Whoever is cancelled stops waiting, but the call in its thread goes on, and the next begins when it is
over. What has failed stays failed, but for a publishing that was refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import google_crc32c
from bleepstore.native import NativeStaged
from bleepstore.storage import Blob, Buffer, StorageFault, Target, TokenMismatch, Unsupported

from bleepstore_backend_gcp import names
from bleepstore_backend_gcp.calls import MIB
from bleepstore_backend_gcp.objects import dress, fingerprint
from bleepstore_backend_gcp.publishing import Publication, Published
from bleepstore_backend_gcp.spooling import GRAIN, Block
from bleepstore_backend_gcp.uploading import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bleepstore_backend_gcp.backend import GcpBackend

log = logging.getLogger("bleepstore.gcp")

MOST_AT_ONCE = 8 * MIB
"""Bytes that the SDK uploads in one request."""

P = ParamSpec("P")
T = TypeVar("T")


class GcpStaged(NativeStaged):
    """What all writes are: one call at a time, seal, publish, discard. The hooks run in threads."""

    _size = 0
    _fingerprint: str | None = None
    _published: Published | None = None
    _staged = False
    """There may be something that is private to the write."""
    _running: asyncio.Future[Any] | None = None
    _ending: asyncio.Task[None] | None = None

    def __init__(self, backend: GcpBackend, name: str, target: Target) -> None:
        self.name = name
        self._backend = backend
        self._target = target
        self._blob_name = backend.name_of(target.bucket, target.key)
        names.metadata_out(target.metadata)

    @abstractmethod
    def _seal(self) -> str:
        """Bring all to where it can be published from; the fingerprint."""

    @abstractmethod
    def _publish(self, publication: Publication) -> Published:
        """Make it the object, on the condition."""

    @abstractmethod
    def _remove(self) -> None:
        """Remove what is private to the write."""

    async def write(self, data: Buffer) -> None:
        """There are no pieces, but in :class:`GcpBody`."""
        raise Unsupported("a copy has no pieces")

    async def _finish(self) -> None:
        """Wait for the call under way. Raises what it raised, each time."""
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._finish()
        return await self._wait(self._backend.calls.run(self._blob_name, work, *args, **kwargs))

    async def _wait(self, work: Awaitable[T]) -> T:
        running = self._running = asyncio.ensure_future(work)
        result: T = await asyncio.shield(running)
        self._running = None
        return result

    async def seal(self) -> str:
        """Finish the invisible part."""
        if self._fingerprint is None:
            self._fingerprint = await self._run(self._seal)
        return self._fingerprint

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Replace the object."""
        wanted = await self.seal()
        try:
            published = await self._run(self._publish_at, wanted, expect)
        except TokenMismatch:
            self._running = None  # it may be asked again
            raise
        # Noted only here: what a caller was not told of is not removed, but found by the core.
        self._published = published
        return Blob(name=self._blob_name, size=self._size, token=published.token)

    def _publish_at(self, wanted: str, expect: str | None) -> Published:
        publication = Publication(self._backend, self._blob_name, self._target, wanted, expect)
        return self._publish(publication)

    async def settle(self) -> None:
        """Nothing is tracked: what was private is gone already."""

    async def discard(self) -> None:
        """Remove all traces, to the end even when cancelled."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._discard(), name=f"discard {self.name}")
        await asyncio.shield(self._ending)

    async def _discard(self) -> None:
        if self._running is not None:
            await asyncio.wait((self._running,))
            self._running.exception()
        if not self._staged and self._published is None:
            return
        try:
            await self._backend.calls.finish(self._blob_name, self._remove_all)
        except StorageFault as fault:
            log.warning("write %s is left to upkeep: %s", self.name, fault)

    def _remove_all(self) -> None:
        published = self._published
        if published is not None and published.certain:
            with contextlib.suppress(TokenMismatch):
                self._backend.delete_at(self._blob_name, published.token)
        if self._staged:
            self._remove()


class GcpBody(GcpStaged):
    """A write of pieces."""

    _crc = 0
    _body = b""

    def __init__(
        self, backend: GcpBackend, name: str, target: Target, size: int | None, private: str = ""
    ) -> None:
        super().__init__(backend, name, target)
        self._first = backend.buffer if size is None else min(-(-size // GRAIN) * GRAIN, backend.buffer)
        """Bytes of the first buffer, which may be all that there is."""
        self._filling: Block | None = None
        self._private = private or f"{names.STAGING}{name}"
        self._session = Session(backend, dress(backend.item(self._private), target))

    async def write(self, data: Buffer) -> None:
        """Append; returns while a buffer is being sent, and raises for the one before."""
        if self._running is not None and self._running.done():
            await self._finish()
        view = memoryview(data)
        while view:
            if self._filling is None or not self._filling.room:
                await self._next_block()
            assert self._filling is not None
            view = view[self._filling.append(view) :]

    async def _next_block(self) -> None:
        """Send the buffer that is full, after the one before, and begin another."""
        if self._filling is not None:
            await self._finish()
            block, self._filling = self._filling, None
            self._running = self._backend.calls.run(self._blob_name, self._send, block)
            del block
            if self._backend.buffers.scarce:
                await self._finish()
        size, self._first = self._first or self._backend.buffer, self._backend.buffer
        self._filling = self._backend.buffers.take(size)

    def _send(self, block: Block, *, last: bool = False) -> None:
        self._staged = True
        self._crc = block.crc(self._crc)
        with memoryview(block.data)[: block.filled] as data:
            start, self._size = self._size, self._size + len(data)
            self._session.send(data, start, crc=self._crc if last else None)

    def _seal(self) -> str:
        rest, self._filling = self._filling, None
        if rest is not None and (self._staged or rest.filled > MOST_AT_ONCE):
            self._send(rest, last=True)  # never empty: a full buffer is sent when more comes
        else:
            self._body = rest.bytes() if rest is not None else b""
            self._size, self._crc = len(self._body), google_crc32c.value(self._body)
        return fingerprint(self._size, self._crc)

    def _publish(self, publication: Publication) -> Published:
        if not self._staged:
            return publication.put(self._body, self._crc)
        source = self._backend.item(self._private, self._session.generation)
        published = publication.rewrite(source)
        self._backend.drop(self._private)
        self._staged = False
        return published

    def _remove(self) -> None:
        self._session.cancel()
        self._backend.remove(self._private)
