"""The work itself: each function is one round, and says how much it found to do."""

from __future__ import annotations

import logging

from bleepstore.commands import AbortUpload, ForgetGarbage, MoveCursor
from bleepstore.events import EventSink
from bleepstore.exchange import Services
from bleepstore.gateway.resolving import resolve_if_free
from bleepstore.gateway.uploads import ended_upload
from bleepstore.metadata import Garbage, Reason, Refused
from bleepstore.storage import StorageFault, TokenMismatch

BATCH = 1000
DAY = 24 * 60 * 60 * 1000
"""Milliseconds."""

log = logging.getLogger("bleepstore.upkeep")


async def remove_garbage(services: Services) -> int:
    """Remove blobs that no row names and nobody reads, and drop uploads that ended; returns how many.

    One round goes by all of them, so that those which cannot be removed now are in nobody's way.
    """
    removed, after = 0, (0, "")
    while True:
        page = await services.metadata.garbage(BATCH, after=after)
        done = [garbage.blob for garbage in page if await _remove(services, garbage)]
        if done:
            command = ForgetGarbage(id=services.new_id(), at=services.clock(), blobs=tuple(done))
            await services.metadata.apply(command)
        removed += len(done)
        if len(page) < BATCH:
            return removed
        after = page[-1].seq, page[-1].blob


async def _remove(services: Services, garbage: Garbage) -> bool:
    """Whether nothing is left of it, or nothing that is ours."""
    try:
        if garbage.upload is None:
            await services.storage.delete(garbage.blob, token=garbage.token)
        elif services.gateway is not None:
            await services.gateway.storage.abort_upload(ended_upload(garbage.upload))
    except TokenMismatch:
        log.info("blob %s was replaced upstream, and is left there", garbage.blob)
    except StorageFault as fault:
        log.warning("%s cannot be removed now: %s", garbage.blob, fault)
        return False
    return True


async def resolve_intents(services: Services) -> int:
    """End the writes of native layout that processes now dead had under way; returns how many."""
    if services.gateway is None:
        return 0
    ended, after = 0, (0, "")
    while True:
        page = await services.metadata.intents(BATCH, after=after)
        for intent in page:
            try:
                ended += await resolve_if_free(services.gateway.engines, intent)
            except (StorageFault, Refused) as fault:
                log.warning("the outcome of a write of %s is not known yet: %s", intent.key, fault)
        if len(page) < BATCH:
            return ended
        after = page[-1].bucket, page[-1].key


class AbandonedWrites:
    """Blobs that a dead process had in flight and no row names.

    A name is judged one round after it was first seen: a command that the process sent before it
    died may still be on its way to the writer.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    async def round(self, services: Services) -> int:
        """Remove what nobody will ever name; returns how many."""
        names = set(await services.storage.abandoned())
        judged, self._seen = names & self._seen, names
        if not judged:
            return 0
        known = await services.metadata.known(sorted(judged))
        removed, stuck = 0, set()
        for name in sorted(judged - known):
            try:
                await services.storage.delete(name)
            except StorageFault as fault:
                log.warning("blob %s of a write that was cut off cannot be removed now: %s", name, fault)
                stuck.add(name)
            else:
                removed += 1
        await services.storage.resolve(judged - stuck)
        if removed:
            log.info("removed %d blobs of writes that were cut off", removed)
        return removed


async def expire_uploads(services: Services) -> int:
    """Abort uploads that are too old, and forget completed ones; returns how many."""
    days = services.settings.upkeep.upload_expiry_days
    before = services.clock() - days * DAY
    expired = await services.metadata.expired_uploads(before, BATCH)
    for upload in expired:
        command = AbortUpload(
            id=services.new_id(),
            at=services.clock(),
            bucket=upload.bucket,
            key=upload.key,
            upload=upload.id,
        )
        try:
            await services.metadata.apply(command)
        except Refused as refused:
            if refused.reason not in (Reason.NO_SUCH_UPLOAD, Reason.NO_SUCH_BUCKET, Reason.HELD):
                raise
    return len(expired)


async def deliver_events(services: Services, sink: EventSink) -> int:
    """Give a sink what it has not taken; returns how many events it took."""
    events = await services.metadata.events(sink.name, BATCH)
    if not events:
        return 0
    try:
        await sink.deliver(events)
    except Exception:
        log.exception("sink %s did not take events, and gets them again", sink.name)
        return 0
    command = MoveCursor(id=services.new_id(), at=services.clock(), sink=sink.name, seq=events[-1].seq)
    await services.metadata.apply(command)
    return len(events)
