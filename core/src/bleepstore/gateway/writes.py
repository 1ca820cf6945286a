"""The gateway of one process: every write and delete of native layout, and what a read does about changes.

A write that was begun runs to its end whoever waits for it: from Reserve on, a client that hangs up
changes nothing. Writers of one key take turns: here by a lock, and between processes by the intent, so
that the last one wins as on S3, and none is told of a conflict that it did not ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bleepstore.commands import CommitObject, CompleteUpload, Content, DeleteObject, Release, Reserve
from bleepstore.gateway.adopting import adopt
from bleepstore.gateway.engines import Engines, pauses
from bleepstore.gateway.keys import KeyLocks
from bleepstore.gateway.resolving import resolve, resolve_if_free
from bleepstore.metadata import (
    BucketRecord,
    Committed,
    Intent,
    MetadataBusy,
    MetadataEngine,
    MetadataFull,
    MetadataUnavailable,
    ObjectRecord,
    Reason,
    Refused,
    Reserved,
)
from bleepstore.native import NativeBackend, NativeStaged
from bleepstore.storage import StorageFault, TokenMismatch, Unavailable

T = TypeVar("T")

TRIES = 6
"""How often a write is decided anew because upstream was changed by others meanwhile."""
DELETES = 32
"""Deletes that are under way at once: DeleteObjects asks for a thousand."""
GRACE = 30.0
"""Seconds in which what was begun has to end when the server stops."""
FIRST_LOOK, LAST_LOOK = 0.5, 30.0
"""Seconds between two looks at an outcome that is not known."""
FAULTS = (StorageFault, Refused, MetadataBusy, MetadataFull, MetadataUnavailable)

log = logging.getLogger("bleepstore.gateway")


@dataclass(slots=True)
class _Write:
    """One write under way."""

    bucket: BucketRecord
    staged: NativeStaged
    fingerprint: str
    command: CommitObject | CompleteUpload
    published: bool = False


class Gateway:
    """Writes, deletes and changed objects of one process."""

    def __init__(
        self,
        metadata: MetadataEngine,
        storage: NativeBackend,
        clock: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self.engines = Engines(metadata, storage, clock, new_id)
        self.storage = storage
        self.keys = KeyLocks()
        self._deletes = asyncio.Semaphore(DELETES)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._doubtful: set[tuple[int, str]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Let what was begun come to its end; what takes too long is for whoever resolves its intent.

        Idempotent.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        if self._tasks:
            log.warning(
                "%d writes upstream are cut off: what came of them is found out at the next start",
                len(self._tasks),
            )
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))
            self._looking = None

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work to its end, also when the caller is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; after that nobody does

    # --- writes -----------------------------------------------------------------------------------------

    async def write(
        self,
        bucket: BucketRecord,
        staged: NativeStaged,
        fingerprint: str,
        command: CommitObject | CompleteUpload,
    ) -> Committed:
        """Publish a sealed write and commit it. Nothing is left of one that fails.

        Raises Refused, StorageFault and what an engine raises.
        """
        return await self.finish(self._write(_Write(bucket, staged, fingerprint, command)))

    async def _write(self, write: _Write) -> Committed:
        try:
            async with self.keys.hold((write.bucket.id, write.command.key)):
                for _ in range(TRIES):
                    committed = await self._publish(write)
                    if committed is not None:
                        return committed
            raise Unavailable(f"{write.command.key}: upstream is being changed by others")
        except Exception:
            # What is published stays, whatever became of its row: the old object is not there any more.
            if not write.published:
                await write.staged.discard()
            raise

    async def _publish(self, write: _Write) -> Committed | None:
        """One try; ``None`` where upstream had been changed by others, which is adopted now."""
        command, staged = write.command, write.staged
        with self._acting() as reservation:
            expected = await self._reserve(reservation, write.fingerprint, command)
            try:
                blob = await staged.publish(expect=expected.token)
            except TokenMismatch:
                await self._release(command, reservation)
            except StorageFault:
                # What is not published goes first: what upstream holds then does not change any more.
                await staged.discard()
                outcome = await self._outcome(command, reservation)
                if isinstance(outcome, Committed):
                    return outcome
                raise
            else:
                write.published = True
                await staged.settle()
                content = Content(size=blob.size, blob=blob.name, token=blob.token)
                committed: Committed = await self._record(
                    replace(command, content=content, reservation=reservation)
                )
                return committed
        await self._adopt(write.bucket, command.key, expected)
        return None

    async def delete(self, bucket: BucketRecord, command: DeleteObject) -> bool:
        """Delete an object upstream and then its row; whether it was there. Raises as :meth:`write`."""
        return await self.finish(self._delete(bucket, command))

    async def _delete(self, bucket: BucketRecord, command: DeleteObject) -> bool:
        async with self._deletes, self.keys.hold((bucket.id, command.key)):
            for _ in range(TRIES):
                with self._acting() as reservation:
                    expected = await self._reserve(reservation, "", command)
                    if expected.blob is None:
                        return False
                    try:
                        await self.storage.delete(expected.blob, token=expected.token)
                    except TokenMismatch:
                        await self._release(command, reservation)
                    except StorageFault:
                        if await self._outcome(command, reservation):
                            return True
                        raise
                    else:
                        done: bool = await self._record(replace(command, reservation=reservation))
                        return done
                await self._adopt(bucket, command.key, expected)
        raise Unavailable(f"{command.key}: upstream is being changed by others")

    # --- intents ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _acting(self) -> Iterator[str]:
        """The name of an intent that nobody else resolves in the block."""
        reservation = self.engines.new_id()
        self.engines.active.add(reservation)
        try:
            yield reservation
        finally:
            self.engines.active.discard(reservation)

    async def _reserve(
        self, reservation: str, fingerprint: str, command: CommitObject | CompleteUpload | DeleteObject
    ) -> Reserved:
        """Decide, once nobody else is at work on the key. Raises Refused, Unavailable."""
        async for last in pauses():
            try:
                expected: Reserved = await self.engines.apply(
                    Reserve,
                    reservation=reservation,
                    holder=self.engines.metadata.holder,
                    fingerprint=fingerprint,
                    command=command,
                )
                return expected
            except Refused as refused:
                if refused.reason is not Reason.HELD or last:
                    raise
            await self.settle(command.bucket, command.key)
        raise AssertionError("unreachable")

    async def settle(self, bucket: int, key: str) -> Intent | None:
        """The intent on a key that somebody is at work on; one of nobody is resolved."""
        intent = await self.engines.metadata.intent(bucket, key)
        if intent is None or await resolve_if_free(self.engines, intent):
            return None
        return intent

    async def _release(self, command: CommitObject | CompleteUpload | DeleteObject, reservation: str) -> None:
        await self.engines.apply(Release, bucket=command.bucket, key=command.key, reservation=reservation)

    async def _record(self, command: CommitObject | CompleteUpload | DeleteObject) -> Any:
        try:
            return await self.engines.record(command)
        except FAULTS:
            self._doubt(command.bucket, command.key)
            raise

    async def _outcome(
        self, command: CommitObject | CompleteUpload | DeleteObject, reservation: str
    ) -> Committed | bool | None:
        """What came of a call that upstream did not answer; ``None`` for nothing, or nobody knows."""
        try:
            intent = await self.engines.metadata.intent(command.bucket, command.key)
            if intent is not None and intent.reservation == reservation:
                return await resolve(self.engines, intent)
        except FAULTS as fault:
            log.warning("the outcome of a write of %s is not known: %s", command.key, fault)
            self._doubt(command.bucket, command.key)
        return None

    def _doubt(self, bucket: int, key: str) -> None:
        """Look again and again what came of the intent on a key."""
        self._doubtful.add((bucket, key))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="outcomes")

    async def _look(self) -> None:
        pause = FIRST_LOOK
        while self._doubtful:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_LOOK)
            for place in list(self._doubtful):
                try:
                    await self.settle(*place)
                except FAULTS as fault:
                    log.info("the outcome of a write of %s is still not known: %s", place[1], fault)
                else:
                    self._doubtful.discard(place)

    # --- what others changed ----------------------------------------------------------------------------

    async def _adopt(self, bucket: BucketRecord, key: str, expected: Reserved) -> None:
        name = expected.blob or self.storage.name_of(bucket.name, key)
        await adopt(self.engines, name, bucket=bucket.id, key=key, seq=expected.seq, owner=bucket.owner)

    async def renew(self, bucket: BucketRecord, found: ObjectRecord) -> ObjectRecord | None:
        """The object as it is now, after upstream was found at another state than the row's.

        ``None``: it is gone. Raises StorageFault and what an engine raises.
        """
        return await self.finish(self._renew(bucket, found))

    async def _renew(self, bucket: BucketRecord, found: ObjectRecord) -> ObjectRecord | None:
        metadata, key = self.engines.metadata, found.key
        async with self.keys.hold(("renew", bucket.id, key)):
            async for last in pauses():
                # The intent before the row: a write that ended in between has changed the row.
                intent = await self.settle(bucket.id, key)
                _, now = await metadata.object(bucket.name, key)
                if now is None or now.bucket != bucket.id:
                    return None
                if now.seq != found.seq:
                    return now
                if intent is None:
                    name = now.blob or self.storage.name_of(bucket.name, key)
                    upstream = await self.storage.stat(name)
                    if upstream is not None and upstream.token == now.token:
                        return now
                    await adopt(self.engines, name, bucket=bucket.id, key=key, seq=now.seq)
                elif last:
                    break
        raise Unavailable(f"{key}: is being written")
