"""The operations where the storage backend has native layout: what of them goes by ``Services.gateway``.

Bytes are staged upstream and sealed; the gateway decides, publishes and commits. A read that finds
upstream at another state than its row reads the row that is there then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from bleepstore.commands import Command, CommitObject, CommitPart, Content
from bleepstore.errors import S3Error
from bleepstore.exchange import Access, CopySource, Exchange, Reply
from bleepstore.gateway import uploads
from bleepstore.gateway.engines import target_of
from bleepstore.gateway.writes import Gateway
from bleepstore.http.checksums import checksummer
from bleepstore.http.pipeline import MAY_LIST, allowed
from bleepstore.http.ranges import Span
from bleepstore.metadata import Attributes, Checksum, Committed, ObjectRecord, UploadRecord
from bleepstore.native import NativeStaged
from bleepstore.s3.ingest import DEFAULT_ALGORITHM, Received
from bleepstore.s3.streams import object_body
from bleepstore.storage import Blob, BlobMissing, TokenMismatch, Unavailable, Unsupported

TRIES = 4
"""How often a read goes on with a row that was renewed."""

T = TypeVar("T")
Stage = Callable[[int | None], Awaitable[NativeStaged]]
"""Begins a write of so many bytes, if it is known of how many."""


def gateway_of(x: Exchange) -> Gateway:
    """The gateway of a server that has one."""
    assert x.services.gateway is not None
    return x.services.gateway


# --- bodies -------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class NativeReceived(Received):
    """A body that is verified and sealed, and not published yet."""

    sealed: NativeStaged
    fingerprint: str

    async def commit(self, x: Exchange, command: Command) -> Any:
        """Publish and commit; nothing is left of what fails."""
        if isinstance(command, CommitPart):
            return await put_part(x, self.sealed, command)
        assert isinstance(command, CommitObject)
        assert x.bucket is not None
        return await gateway_of(x).write(x.bucket, self.sealed, self.fingerprint, command)


def object_stage(x: Exchange, attributes: Attributes) -> Stage:
    """Writes of the object that a request names."""
    assert x.bucket is not None
    assert x.key is not None
    target = target_of(x.bucket.name, x.key, attributes)
    return lambda size: gateway_of(x).storage.stage(x.services.new_id(), size=size, target=target)


def part_stage(x: Exchange, upload: UploadRecord, number: int) -> Stage:
    """Writes of a part."""
    assert x.bucket is not None
    known = uploads.native_upload(x.bucket.name, upload)
    return lambda size: gateway_of(x).storage.stage_part(known, number, x.services.new_id(), size=size)


async def receive_native(
    x: Exchange, stage: Stage, *, algorithm: str = DEFAULT_ALGORITHM, default: bool = False
) -> NativeReceived:
    """Read the body of ``x`` to its verified end, and seal it. See ``ingest.receive``."""
    body = x.body
    body.require_checksum(algorithm)
    extra = checksummer(DEFAULT_ALGORITHM) if default else None

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in body:
            if extra is not None:
                extra.update(piece)
            yield piece

    staged = await _no_such_upload(x, stage(body.length))
    size, fingerprint = await _no_such_upload(x, _fill(staged, pieces()))
    checksum = body.checksum
    return NativeReceived(
        content=Content(size=size),
        md5=body.md5,
        checksum=None if checksum is None else Checksum(algorithm=checksum[0], value=checksum[1]),
        default=None if extra is None else extra.base64(),
        staged=None,
        sealed=staged,
        fingerprint=fingerprint,
    )


async def _fill(staged: NativeStaged, pieces: AsyncIterator[bytes]) -> tuple[int, str]:
    """Write and seal; size and fingerprint."""
    size = 0
    try:
        async for piece in pieces:
            await staged.write(piece)
            size += len(piece)
        return size, await staged.seal()
    except BaseException:
        await staged.discard()
        raise


async def put_part(x: Exchange, staged: NativeStaged, command: CommitPart) -> Committed:
    """Publish and commit a part. Raises S3Error NoSuchUpload where upstream has no such upload any more."""
    return await _no_such_upload(x, uploads.put_part(gateway_of(x), staged, command))


async def _no_such_upload(x: Exchange, work: Awaitable[T]) -> T:
    try:
        return await work
    except BlobMissing as fault:
        if "uploadId" not in x.query:
            raise
        raise S3Error("NoSuchUpload", UploadId=x.query["uploadId"]) from fault


# --- reads --------------------------------------------------------------------------------------------


async def read_again(
    x: Exchange, found: ObjectRecord, read: Callable[[Exchange, ObjectRecord], Awaitable[Reply]]
) -> Reply:
    """Read after upstream was found at another state than ``found``'s. Raises S3Error NoSuchKey."""
    assert x.bucket is not None
    for _ in range(TRIES):
        now = await gateway_of(x).renew(x.bucket, found)
        await _authorize(x, now)
        if now is None:
            raise S3Error("NoSuchKey", Key=found.key)
        try:
            return await read(x, now)
        except (BlobMissing, TokenMismatch):
            found = now
    raise Unavailable(f"{found.key}: upstream changes faster than it can be read")


async def _authorize(x: Exchange, now: ObjectRecord | None) -> None:
    """Whoever might read the object that was there may not therefore read the one that is."""
    permission = MAY_LIST if now is None else x.operation.permission
    access = Access(
        identity=x.identity,
        permission=permission,
        bucket=x.bucket,
        object=now,
        key=None if now is None else x.key,
        version=None if now is None else x.query.get("versionId"),
        exchange=x,
    )
    if not await allowed(x.services, access):
        raise S3Error("AccessDenied")


# --- copies -------------------------------------------------------------------------------------------


async def copy_object(x: Exchange, source: CopySource, command: CommitObject) -> Committed:
    """Copy within upstream, or through here where it cannot.

    Raises BlobMissing, TokenMismatch where upstream has the source no more as its row says.
    """
    assert x.bucket is not None
    gateway, found = gateway_of(x), source.object
    target = target_of(x.bucket.name, command.key, command.attributes)
    staged, fingerprint = await _sealed(
        x,
        found,
        Span(0, found.size),
        lambda: gateway.storage.stage_copy(x.services.new_id(), _blob_of(found), target),
        lambda size: gateway.storage.stage(x.services.new_id(), size=size, target=target),
    )
    return await gateway.write(x.bucket, staged, fingerprint, command)


async def copy_part(
    x: Exchange, source: CopySource, span: Span, upload: UploadRecord, command: CommitPart
) -> Committed:
    """Copy a span into a part within upstream, or through here. Raises as :func:`copy_object`."""
    assert x.bucket is not None
    gateway, found, number = gateway_of(x), source.object, command.number
    known = uploads.native_upload(x.bucket.name, upload)
    staged, _ = await _sealed(
        x,
        found,
        span,
        lambda: gateway.storage.stage_part_copy(
            known, number, x.services.new_id(), _blob_of(found), span.start, span.length
        ),
        part_stage(x, upload, number),
    )
    return await uploads.put_part(gateway, staged, command)


async def _sealed(
    x: Exchange, found: ObjectRecord, span: Span, copy: Callable[[], Awaitable[NativeStaged]], stage: Stage
) -> tuple[NativeStaged, str]:
    try:
        staged = await copy()
        return staged, (await _fill(staged, _nothing()))[1]
    except Unsupported:
        staged = await stage(span.length)
        return staged, (await _fill(staged, _bytes_of(x, found, span)))[1]


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _bytes_of(x: Exchange, found: ObjectRecord, span: Span) -> AsyncIterator[bytes]:
    body = await object_body(x, found, span)
    if isinstance(body, bytes):
        yield body
        return
    try:
        async for piece in body:
            yield piece
    finally:
        await body.aclose()


async def renew_source(x: Exchange, source: CopySource) -> None:
    """Upstream has not what a copy was to read or to write to. Raises S3Error NoSuchUpload."""
    if x.upload is not None:
        _, upload = await x.services.metadata.upload(x.bucket_name or "", x.upload.key, x.upload.id)
        if upload is None or upload.completed is not None:
            raise S3Error("NoSuchUpload", UploadId=x.upload.id)
    await gateway_of(x).renew(source.bucket, source.object)


def _blob_of(found: ObjectRecord) -> Blob:
    """The one blob of an object."""
    if found.blob is None:
        raise BlobMissing(found.key)
    return Blob(name=found.blob, size=found.size, token=found.token)


async def check_empty(x: Exchange, found: ObjectRecord) -> None:
    """An object without bytes is read for its state upstream. Raises BlobMissing, TokenMismatch."""
    reader = await gateway_of(x).storage.open(_blob_of(found))
    await reader.close()
