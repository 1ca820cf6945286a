"""Multipart uploads of native layout: begun, filled, completed and aborted upstream too.

What upstream keeps of an upload is known by the upload's row, and when that ends by a row in
``garbage``, from which upkeep drops it if that was not done at once.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from bleepstore.commands import AbortUpload, CommitPart, CompleteUpload, Content, CreateUpload, ForgetGarbage
from bleepstore.gateway.engines import pauses, target_of
from bleepstore.gateway.writes import Gateway
from bleepstore.metadata import (
    BucketRecord,
    Committed,
    EndedUpload,
    MetadataBusy,
    MetadataFull,
    MetadataUnavailable,
    Reason,
    Refused,
    UploadRecord,
)
from bleepstore.native import NativePart, NativeStaged, NativeUpload
from bleepstore.storage import StorageFault, Target

UNCHANGED = (Refused, MetadataBusy, MetadataFull)
"""Raised by a command that certainly changed nothing."""

log = logging.getLogger("bleepstore.gateway")


def upstream_name(upload: str) -> str:
    """The name of an upload for the backend: 32 hex digits of the id that the client knows."""
    return upload[:32]


def native_upload(bucket: str, upload: UploadRecord) -> NativeUpload:
    """An upload as the backend is told of it."""
    return NativeUpload(
        name=upstream_name(upload.id),
        handle=upload.handle or "",
        target=target_of(bucket, upload.key, upload.attributes),
    )


def ended_upload(upload: EndedUpload) -> NativeUpload:
    """An upload whose row is gone, as the backend is told of it."""
    target = Target(bucket=upload.bucket, key=upload.key)
    return NativeUpload(name=upstream_name(upload.id), handle=upload.handle, target=target)


async def begin(gateway: Gateway, bucket: BucketRecord, command: CreateUpload) -> UploadRecord:
    """Begin an upload here and upstream. Raises Refused, StorageFault and what an engine raises."""
    return await gateway.finish(_begin(gateway, bucket, command))


async def _begin(gateway: Gateway, bucket: BucketRecord, command: CreateUpload) -> UploadRecord:
    name, target = upstream_name(command.upload), target_of(bucket.name, command.key, command.attributes)
    handle = await gateway.storage.begin_upload(name, target)
    try:
        upload: UploadRecord = await gateway.engines.metadata.apply(replace(command, handle=handle))
    except UNCHANGED:
        with contextlib.suppress(StorageFault):
            await gateway.storage.abort_upload(NativeUpload(name=name, handle=handle, target=target))
        raise
    return upload


async def put_part(gateway: Gateway, staged: NativeStaged, command: CommitPart) -> Committed:
    """Publish a sealed part and commit it. Nothing is left of one that fails. Raises as :func:`begin`."""
    return await gateway.finish(_put_part(gateway, staged, command))


async def _put_part(gateway: Gateway, staged: NativeStaged, command: CommitPart) -> Committed:
    # Upstream may keep one part of a number, the last: it has to be that of the row.
    async with gateway.keys.hold(("part", command.upload, command.number)):
        try:
            blob = await staged.publish()
            content = Content(size=blob.size, blob=blob.name, token=blob.token)
            committed: Committed = await gateway.engines.metadata.apply(replace(command, content=content))
        except (*UNCHANGED, StorageFault):
            await staged.discard()
            raise
        finally:
            await staged.settle()
    return committed


async def complete(
    gateway: Gateway, bucket: BucketRecord, upload: UploadRecord, command: CompleteUpload
) -> Committed:
    """Make the object of the parts that the command names. Raises as :func:`begin`.

    BlobMissing: upstream has a part no more.
    """
    return await gateway.finish(_complete(gateway, bucket, upload, command))


async def _complete(
    gateway: Gateway, bucket: BucketRecord, upload: UploadRecord, command: CompleteUpload
) -> Committed:
    async with gateway.keys.hold(("complete", upload.id)):
        blobs = await gateway.engines.metadata.part_blobs(upload.segments)
        numbers = [number for first, last in command.parts for number in range(first, last + 1)]
        if not blobs.keys() >= set(numbers):
            raise Refused(Reason.UPLOAD_CHANGED)
        parts = [NativePart(number=number, blob=blobs[number]) for number in numbers]
        staged = await gateway.storage.stage_upload(native_upload(bucket.name, upload), parts)
        try:
            fingerprint = await staged.seal()
        except BaseException:
            await staged.discard()
            raise
        announced = replace(command, content=Content(size=command.size))
        return await gateway.write(bucket, staged, fingerprint, announced)


async def abort(gateway: Gateway, bucket: BucketRecord, upload: UploadRecord, command: AbortUpload) -> None:
    """Abort an upload here and upstream. Raises Refused and what an engine raises."""
    await gateway.finish(_abort(gateway, bucket, upload, command))


async def _abort(gateway: Gateway, bucket: BucketRecord, upload: UploadRecord, command: AbortUpload) -> None:
    async for last in pauses():
        try:
            await gateway.engines.metadata.apply(command)
            break
        except Refused as refused:
            if refused.reason is not Reason.HELD or last:
                raise
        await gateway.settle(command.bucket, command.key)
    try:
        await gateway.storage.abort_upload(native_upload(bucket.name, upload))
    except StorageFault as fault:
        log.info("upload %s of %s is aborted upstream by upkeep: %s", upload.id, upload.key, fault)
        return
    with contextlib.suppress(MetadataBusy, MetadataFull, MetadataUnavailable):
        await gateway.engines.apply(ForgetGarbage, blobs=(upload.id,))
