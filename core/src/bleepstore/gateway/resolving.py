"""Intents whose outcome is not known: what upstream holds decides.

====================================== ==========================================
upstream holds                         then
====================================== ==========================================
what the intent's fingerprint says     it happened, and the announced command is applied with the token found
(nothing, for a delete)
the token that was expected            nothing happened, and the intent is released
something else                         it was changed by others, and is adopted where there is a row
====================================== ==========================================

Where a fingerprint tells nothing (ETags of what upstream encrypts), a new state with the size, the type and
the metadata that were announced is it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from bleepstore.commands import CommitObject, CompleteUpload, Content, DeleteObject, Release
from bleepstore.gateway.adopting import adopt
from bleepstore.gateway.engines import Engines
from bleepstore.metadata import Attributes, Committed, Intent, Reason, Refused
from bleepstore.native import UpstreamObject

log = logging.getLogger("bleepstore.gateway")


async def resolve(engines: Engines, intent: Intent) -> Committed | bool | None:
    """End an intent that nobody is at work on.

    The result of the announced command, if it happened; ``None``: it did not. Raises StorageFault,
    Refused RESERVATION_LOST where somebody else was faster, and what an engine raises.
    """
    name = engines.storage.name_of(intent.bucket_name, intent.key)
    found = await engines.storage.stat(name)
    command = intent.command
    reservation = intent.reservation
    if isinstance(command, DeleteObject):
        if found is None:
            done: bool = await engines.record(replace(command, reservation=reservation))
            return done
    elif found is not None and await _happened(engines, intent, command, found):
        assert command.content is not None
        content = Content(size=command.content.size, blob=name, token=found.token)
        committed: Committed = await engines.record(
            replace(command, content=content, reservation=reservation)
        )
        log.info("%s: a write that was cut off had been published, and is recorded", name)
        return committed
    if intent.seq and (found.token if found is not None else "") != intent.token:
        await adopt(
            engines,
            name,
            bucket=intent.bucket,
            key=intent.key,
            seq=intent.seq,
            reservation=reservation,
        )
    else:
        await engines.apply(Release, bucket=intent.bucket, key=intent.key, reservation=reservation)
    return None


async def resolve_if_free(engines: Engines, intent: Intent) -> bool:
    """Resolve an intent, unless somebody is at work on it; whether it is ended. Raises StorageFault."""
    if not await engines.may_resolve(intent):
        return False
    try:
        await resolve(engines, intent)
    except Refused as refused:
        if refused.reason is not Reason.RESERVATION_LOST:
            raise
    return True


async def _happened(
    engines: Engines, intent: Intent, command: CommitObject | CompleteUpload, found: UpstreamObject
) -> bool:
    assert command.content is not None
    if intent.fingerprint and found.fingerprint:
        if found.fingerprint != intent.fingerprint:
            return False
        if found.token != intent.token or isinstance(command, CompleteUpload):
            return True
        # The same bytes have been there before, and tokens are made of bytes: the rest tells.
    elif found.token == intent.token or found.size != command.content.size:
        return False
    announced = await _announced(engines, intent, command)
    return announced is not None and (
        (dict(found.headers), _lower(found.metadata)) == (dict(announced.headers), _lower(announced.metadata))
    )


async def _announced(
    engines: Engines, intent: Intent, command: CommitObject | CompleteUpload
) -> Attributes | None:
    if isinstance(command, CommitObject):
        return command.attributes
    _, upload = await engines.metadata.upload(intent.bucket_name, command.key, command.upload)
    return None if upload is None else upload.attributes


def _lower(metadata: Mapping[str, str]) -> dict[str, str]:
    """S3 knows no case of the names, and not every upstream keeps it."""
    return {name.lower(): value for name, value in metadata.items()}
