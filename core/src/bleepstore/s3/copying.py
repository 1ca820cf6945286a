"""CopyObject and UploadPartCopy: new names for bytes that are there.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
No bytes are copied: the engine shares the source's blobs (with a backend of native layout upstream
copies, see ``native``). They are read only where a digest of them is due that nobody knows yet. Source
and command race with writers of the source, so the command names the state of the source that was
decided on, and loses to any change of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from bleepstore.auth.acl import object_acl_from_headers
from bleepstore.commands import CommitObject, CommitPart, Content, CopyObject, CopyPart, Source
from bleepstore.errors import S3Error
from bleepstore.exchange import CopySource, Exchange, Reply
from bleepstore.http.checksums import ALGORITHMS, FULL_OBJECT, checksummer
from bleepstore.http.conditions import check_copy_source, write_condition
from bleepstore.http.dates import iso_time
from bleepstore.http.object_headers import object_attributes, refuse_unbuilt, storage_class
from bleepstore.http.ranges import Span, parse_copy_range
from bleepstore.metadata import Attributes, Checksum, Committed, ObjectRecord, Reason, Refused, UploadRecord
from bleepstore.s3 import native
from bleepstore.s3.checksum_headers import checksum_fields
from bleepstore.s3.documents import document
from bleepstore.s3.ingest import DEFAULT_ALGORITHM, owner_of_new
from bleepstore.s3.owners import account_of
from bleepstore.s3.parts import part_number, pending_upload
from bleepstore.s3.patience import patiently
from bleepstore.s3.streams import object_body
from bleepstore.s3.tagging import may_read_tags, tags_from_header
from bleepstore.storage import BlobMissing, TokenMismatch
from bleepstore.xml.shapes import CopyObjectResult, CopyPartResult

LARGEST = 5 * 1024**3
"""Bytes of one copy."""
TRIES = 8
"""How often a copy is decided again when its source changed meanwhile."""
REDIRECT = "x-amz-website-redirect-location"


async def copy_object(x: Exchange) -> Reply:
    """CopyObject."""
    headers = refuse_unbuilt(x.headers, x.services.settings)
    reply = await patiently(x, _again(x, _copy_object))
    reply.headers |= headers | _source_version(x)
    return reply


async def upload_part_copy(x: Exchange) -> Reply:
    """UploadPartCopy."""
    refuse_unbuilt(x.headers, x.services.settings)
    reply = await patiently(x, _again(x, _copy_part))
    reply.headers |= _source_version(x)
    return reply


def _source_version(x: Exchange) -> dict[str, str]:
    """The version that was copied, where the request or the source has one."""
    assert x.source is not None
    version = x.source.object.version or x.source.version
    return {} if version is None else {"x-amz-copy-source-version-id": version}


async def _again(x: Exchange, copy: Callable[[Exchange, CopySource], Awaitable[Reply]]) -> Reply:
    """Decide and copy; when the source changed in between, read it and decide again."""
    assert x.source is not None
    source = x.source
    for _ in range(TRIES):
        check_copy_source(x.headers, source.object.etag, source.object.modified)
        try:
            # Held while it is read for digests: the pipeline's hold ends with the handler.
            with x.services.metadata.reading():
                return await copy(x, source)
        except Refused as refused:
            if refused.reason is not Reason.SOURCE_CHANGED:
                raise
        except (BlobMissing, TokenMismatch):
            if x.services.gateway is None:
                raise
            await native.renew_source(x, source)
        bucket, found = await x.services.metadata.object(
            source.bucket.name, source.object.key, source.version
        )
        if bucket is None or found is None:
            raise S3Error("NoSuchKey", Key=source.object.key)
        source = CopySource(bucket=bucket, object=found, version=source.version)
    raise S3Error("OperationAborted")


# --- CopyObject -----------------------------------------------------------------------------------


async def _copy_object(x: Exchange, source: CopySource) -> Reply:
    assert x.bucket is not None
    assert x.key is not None
    found = source.object
    if found.size > LARGEST:
        raise _too_large()
    replaced = _directive(x, "x-amz-metadata-directive")
    attributes = _attributes(x, found, replaced=replaced)
    if found.bucket == x.bucket.id and found.key == x.key and not replaced:
        _check_self_copy(x, found, attributes)
    tags = await _tags(x, source)
    owner = owner_of_new(x)
    acl = object_acl_from_headers(x, account_of(x, owner), x.bucket)
    condition = write_condition(x.headers)
    etag, checksum = await _digests(x, found, _asked_algorithm(x))
    made: dict[str, Any] = {
        "id": x.services.new_id(),
        "at": x.services.clock(),
        "bucket": x.bucket.id,
        "key": x.key,
        "etag": etag,
        "owner": owner,
        "attributes": replace(attributes, checksum=checksum),
        "acl": acl,
        "tags": tags,
        "condition": condition,
    }
    if x.services.gateway is None:
        command = CopyObject(source=_source(source), **made)
        committed: Committed = await x.services.metadata.apply(command)
    else:
        content = Content(size=found.size)
        copied = CommitObject(content=content, event="s3:ObjectCreated:Copy", **made)
        committed = await native.copy_object(x, source, copied)
    return document(
        CopyObjectResult(
            e_tag=f'"{committed.etag}"',
            last_modified=iso_time(committed.modified),
            checksum_type=checksum.type,
            **checksum_fields(checksum),
        )
    )


def _too_large() -> S3Error:
    message = "The specified copy source is larger than the maximum allowable size for a copy source: "
    return S3Error("InvalidRequest", f"{message}{LARGEST}")


def _directive(x: Exchange, header: str) -> bool:
    """Whether a directive says REPLACE. Raises S3Error InvalidArgument."""
    value = x.headers.get(header, "COPY")
    if value not in ("COPY", "REPLACE"):
        kind = "tagging" if "tagging" in header else "metadata"
        raise S3Error(
            "InvalidArgument",
            f"Unknown {kind} directive.",
            ArgumentName=header,
            ArgumentValue=value[:256],
        )
    return value == "REPLACE"


async def _tags(x: Exchange, source: CopySource) -> bytes | None:
    """The tags of the copy. Whoever may read the source's bytes may not therefore read its tags."""
    if _directive(x, "x-amz-tagging-directive"):
        return tags_from_header(x.headers.get("x-amz-tagging"))
    if source.object.tags is not None and not await may_read_tags(
        x, source.object, source.bucket, source.version
    ):
        raise S3Error("AccessDenied")
    return source.object.tags


def _attributes(x: Exchange, found: ObjectRecord, *, replaced: bool) -> Attributes:
    """What the copy keeps. Storage class and redirect are never the source's."""
    if replaced:
        return object_attributes(x.headers)
    headers = {name: value for name, value in found.attributes.headers.items() if name != REDIRECT}
    if x.headers.get(REDIRECT):
        headers[REDIRECT] = x.headers[REDIRECT]
    return Attributes(
        headers=headers, metadata=found.attributes.metadata, storage_class=storage_class(x.headers)
    )


def _check_self_copy(x: Exchange, found: ObjectRecord, attributes: Attributes) -> None:
    changed = (
        "x-amz-storage-class" in x.headers and attributes.storage_class != found.attributes.storage_class
    )
    if changed or REDIRECT in x.headers or "x-amz-server-side-encryption" in x.headers:
        return
    raise S3Error(
        "InvalidRequest",
        "This copy request is illegal because it is trying to copy an object to itself without changing the "
        "object's metadata, storage class, website redirect location or encryption attributes.",
    )


def _asked_algorithm(x: Exchange) -> str | None:
    asked = x.headers.get("x-amz-checksum-algorithm")
    if asked is None:
        return None
    if asked.upper() not in ALGORITHMS:
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with "
            f"any of the valid types: [{', '.join(ALGORITHMS)}]",
        )
    return asked.upper()


async def _digests(x: Exchange, found: ObjectRecord, asked: str | None) -> tuple[str, Checksum]:
    """ETag and checksum of a whole object as one piece, read from it where they are not known."""
    known = found.attributes.checksum
    algorithm = asked or (known.algorithm if known is not None else DEFAULT_ALGORITHM)
    if known is not None and known.algorithm == algorithm and known.type == FULL_OBJECT and not found.parts:
        return found.etag, known
    md5, value = await _read(x, found, Span(0, found.size), algorithm)
    return md5, Checksum(algorithm=algorithm, value=value)


async def _read(x: Exchange, found: ObjectRecord, span: Span, algorithm: str) -> tuple[str, str]:
    """The hex MD5 and a base64 checksum of a span, hashed in a thread while the next piece is read."""
    md5, checksum = hashlib.md5(usedforsecurity=False), checksummer(algorithm)

    def absorb(piece: bytes) -> None:
        md5.update(piece)
        checksum.update(piece)

    body = await object_body(x, found, span)
    if isinstance(body, bytes):
        absorb(body)
    else:
        loop, running = asyncio.get_running_loop(), None
        try:
            async for piece in body:
                if running is not None:
                    await running
                running = loop.run_in_executor(None, absorb, piece)
        finally:
            if running is not None:
                await running
            await body.aclose()
    return md5.hexdigest(), checksum.base64()


def _source(source: CopySource) -> Source:
    found = source.object
    return Source(bucket=found.bucket, key=found.key, version=source.version, seq=found.seq, etag=found.etag)


# --- UploadPartCopy -------------------------------------------------------------------------------


async def _copy_part(x: Exchange, source: CopySource) -> Reply:
    assert x.bucket is not None
    upload, found = pending_upload(x), source.object
    number = part_number(x)
    header = x.headers.get("x-amz-copy-source-range")
    span = Span(0, found.size) if header is None else parse_copy_range(header, found.size)
    if span.length > LARGEST:
        raise _too_large()
    etag, checksum = await _part_digests(x, found, span, upload)
    made: dict[str, Any] = {
        "id": x.services.new_id(),
        "at": x.services.clock(),
        "bucket": x.bucket.id,
        "key": upload.key,
        "upload": upload.id,
        "number": number,
        "etag": etag,
        "checksum": checksum,
    }
    if x.services.gateway is None:
        command = CopyPart(source=_source(source), start=span.start, length=span.length, **made)
        committed: Committed = await x.services.metadata.apply(command)
    else:
        copied = CommitPart(content=Content(size=span.length), **made)
        committed = await native.copy_part(x, source, span, upload, copied)
    shown = checksum if upload.algorithm is not None else None
    return document(
        CopyPartResult(
            e_tag=f'"{committed.etag}"', last_modified=iso_time(committed.modified), **checksum_fields(shown)
        )
    )


async def _part_digests(
    x: Exchange, found: ObjectRecord, span: Span, upload: UploadRecord
) -> tuple[str, Checksum]:
    algorithm, known = upload.algorithm or DEFAULT_ALGORITHM, found.attributes.checksum
    whole = span == Span(0, found.size) and not found.parts
    if whole and known is not None and (known.algorithm, known.type) == (algorithm, FULL_OBJECT):
        return found.etag, known
    md5, value = await _read(x, found, span, algorithm)
    return md5, Checksum(algorithm=algorithm, value=value)
