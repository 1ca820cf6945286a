"""Writes of a native backend over a blocking SDK: what is the same for every cloud.

A write has one call under way at a time (see :mod:`bleepstore.native_calls`). Whoever is cancelled stops
waiting, but the call in its thread goes on, and the next begins when it is over. What has failed stays
failed, but for a publishing whose condition was not met. A publishing is noted only when its caller has
the answer: what a cancelled one has published stays, and the core finds it. Discarding is done to the end.

A backend derives its writes from :class:`ThreadedStaged`, and says in three hooks, which run in
threads, what sealing, publishing and removing are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from bleepstore.native import NativeStaged
from bleepstore.native_calls import Block, Buffers, Calls
from bleepstore.storage import Blob, Buffer, StorageFault, TokenMismatch, Unsupported

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ThreadedBackend(Protocol):
    """What a write needs of its backend."""

    calls: Calls

    def delete_at(self, name: str, token: str | None) -> None:
        """Remove an object at its token, in a thread. Raises TokenMismatch where it is at another."""


_B = TypeVar("_B", bound=ThreadedBackend)


class ThreadedStaged(NativeStaged, Generic[_B]):
    """What all writes are: one call at a time, seal, publish, discard. The hooks run in threads."""

    long = False
    """Sealing and publishing may take as long as the object is large."""

    def __init__(self, backend: _B, name: str, blob_name: str) -> None:
        self.name = name
        self.backend = backend
        self.blob_name = blob_name
        """The name of the blob that is published, and what calls are for."""
        self.size = 0
        """Bytes, known when the write is sealed."""
        self.fingerprint: str | None = None
        """What :meth:`seal` has returned."""
        self.published: str | None = None
        """The token that :meth:`publish` has returned."""
        self._replaced: str | None = None
        self._running: asyncio.Future[Any] | None = None
        self._ending: asyncio.Task[None] | None = None

    # --- hooks ------------------------------------------------------------------------------------------

    @abstractmethod
    def seal_blocking(self) -> str:
        """Bring all to where it can be published from; the fingerprint."""

    @abstractmethod
    def publish_blocking(self, expect: str | None) -> str:
        """Make it the object, on the condition; the token."""

    def remove_blocking(self) -> None:
        """Remove what :meth:`has_traces` is about: the published object, and what an override adds."""
        # Where a token tells the bytes alone, the same bytes over themselves are what a row names.
        if self.published is not None and self.published != self._replaced:
            with contextlib.suppress(TokenMismatch):
                self.backend.delete_at(self.blob_name, self.published)

    def has_traces(self) -> bool:
        """There may be something upstream that a discarded write must remove."""
        return self.published is not None

    def release(self) -> None:
        """Let go of what is held here. Idempotent; on the event loop."""
        return

    # --- one call at a time -----------------------------------------------------------------------------

    def begin(self, work: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Begin a call that :meth:`finish` waits for; none is under way."""
        self._running = self.backend.calls.run(self.blob_name, work, *args, **kwargs)

    def look(self) -> None:
        """Raise what the call that was begun has raised, if it is over."""
        if self._running is not None and self._running.done():
            self._running.result()
            self._running = None

    async def finish(self) -> None:
        """Wait for the call under way. Raises what it raised, each time."""
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something in a thread, after the call under way."""
        await self.finish()
        calls = self.backend.calls
        begin = calls.run_long if self.long else calls.run
        return await self.wait_for(begin(self.blob_name, work, *args, **kwargs))

    async def wait_for(self, work: Awaitable[_T]) -> _T:
        """The result of work that goes on when the waiter is cancelled; none other is under way."""
        running = self._running = asyncio.ensure_future(work)
        result: _T = await asyncio.shield(running)
        self._running = None
        return result

    # --- the contract -----------------------------------------------------------------------------------

    async def write(self, data: Buffer) -> None:
        """There are no pieces, but in bodies and parts."""
        raise Unsupported("a copy has no pieces")

    async def seal(self) -> str:
        """Finish the invisible part."""
        if self.fingerprint is None:
            self.fingerprint = await self.run(self.seal_blocking)
        return self.fingerprint

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Replace the object."""
        await self.seal()
        try:
            token = await self.run(self.publish_blocking, expect)
        except TokenMismatch:
            self._running = None  # it may be asked again, with another ``expect``
            raise
        # Not before: whoever is cancelled does not know, and what was published stays.
        self._replaced, self.published = expect, token
        return Blob(name=self.blob_name, size=self.size, token=token)

    async def settle(self) -> None:
        """Nothing is tracked but what an override adds."""
        self.release()

    async def discard(self) -> None:
        """Remove all traces, to the end even when cancelled."""
        if self._ending is None:
            self._ending = asyncio.create_task(self.end(), name=f"discard {self.name}")
        await asyncio.shield(self._ending)

    async def end(self) -> None:
        """What :meth:`discard` does, once."""
        if self._running is not None:
            await asyncio.wait((self._running,))
            if not self._running.cancelled():
                self._running.exception()
        calls = self.backend.calls
        try:
            if self.has_traces():
                await calls.finish(self.blob_name, self.remove_blocking)
        except StorageFault as fault:
            log = logging.getLogger(f"bleepstore.{calls.service}")
            log.warning("write %s is left to upkeep: %s", self.name, fault)
        finally:
            self.release()


class Filling:
    """Pieces of a write that fill buffers, each of which is sent in one call when more comes.

    Two buffers at most: one is sent while the next is filled; and one only while all writes together
    hold more than their limit.
    """

    def __init__(self, buffers: Buffers, *, size: int, expected: int | None = None, grain: int = 1) -> None:
        """Buffers of ``size`` bytes.

        The first has the ``expected`` bytes, in whole ``grain``, where these are fewer: they may be all
        that there are.
        """
        self.size = size
        self._first = min(-(-expected // grain) * grain, size) if expected else size
        self._buffers = buffers
        self._block: Block | None = None

    # The write is not kept: that would be a circle, and its bytes would wait for the garbage collector.

    async def append(self, data: Buffer, write: ThreadedStaged[Any], send: Callable[[Block], None]) -> None:
        """Append; returns while a buffer is being sent, and raises for the one before.

        ``send`` runs in a thread, with each buffer that is full.
        """
        write.look()
        view = memoryview(data)
        while view:
            if self._block is None or not self._block.room:
                await self._next(write, send)
            assert self._block is not None
            view = view[self._block.append(view) :]

    async def _next(self, write: ThreadedStaged[Any], send: Callable[[Block], None]) -> None:
        """Send the buffer that is full, after the one before, and begin another."""
        if self._block is not None:
            await write.finish()
            block, self._block = self._block, None
            write.begin(send, block)
            del block
            if self._buffers.scarce:
                await write.finish()
        size, self._first = self._first, self.size
        self._block = self._buffers.take(size)

    def rest(self) -> Block | None:
        """What is left to be sent, never an empty buffer. Once."""
        rest, self._block = self._block, None
        return rest
