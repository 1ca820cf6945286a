"""CompleteMultipartUpload: the parts named become an object.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
Everything is decided on one state of the upload, which the command names: when a part was replaced
meanwhile, all is read and decided again. A repeated request answers as the first one did.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from urllib.parse import quote

from bleepstore import xml
from bleepstore.commands import CompleteUpload
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.gateway import uploads
from bleepstore.http.checksums import ALGORITHMS, COMPOSITE, FULL_OBJECT, combine, composite
from bleepstore.http.conditions import write_condition
from bleepstore.http.headers import content_length
from bleepstore.metadata import Checksum, Committed, PartRecord, Reason, Refused, UploadRecord
from bleepstore.s3.checksum_headers import checksum_fields
from bleepstore.s3.documents import document, read_body
from bleepstore.s3.ingest import DEFAULT_ALGORITHM
from bleepstore.s3.patience import patiently
from bleepstore.storage import BlobMissing
from bleepstore.xml.shapes import CompletedPart, CompleteMultipartUpload, CompleteMultipartUploadResult

SMALLEST = 5 * 1024 * 1024
"""Bytes of every part but the last."""
MOST_PARTS = 10_000
TRIES = 8


async def complete_multipart_upload(x: Exchange) -> Reply:
    """CompleteMultipartUpload."""
    x.body.ignore_checksums()
    # A request without a body names no parts, and is answered as one that says so.
    request = xml.read(CompleteMultipartUpload, await read_body(x))
    if not 1 <= len(request.parts) <= MOST_PARTS:
        raise S3Error("MalformedXML")
    numbers = [part.part_number or 0 for part in request.parts]
    if any(a >= b for a, b in itertools.pairwise(numbers)):
        raise S3Error("InvalidPartOrder", UploadId=x.query.get("uploadId", ""))
    return await patiently(x, _complete(x, request.parts))


async def _complete(x: Exchange, named: Sequence[CompletedPart]) -> Reply:
    upload = x.upload
    for _ in range(TRIES):
        if upload is None:
            raise S3Error("NoSuchUpload", UploadId=x.query.get("uploadId", ""))
        if upload.completed is not None:
            return _reply(x, upload.completed)
        try:
            return _reply(x, await _commit(x, upload, await _decide(x, upload, named)))
        except Refused as refused:
            if refused.reason is not Reason.UPLOAD_CHANGED:
                raise
        _, upload = await x.services.metadata.upload(x.bucket_name or "", upload.key, upload.id)
    raise S3Error("OperationAborted")


async def _commit(x: Exchange, upload: UploadRecord, command: CompleteUpload) -> Committed:
    assert x.bucket is not None
    if x.services.gateway is None:
        committed: Committed = await x.services.metadata.apply(command)
        return committed
    try:
        return await uploads.complete(x.services.gateway, x.bucket, upload, command)
    except BlobMissing as fault:
        raise S3Error("InvalidPart", UploadId=upload.id) from fault


async def _decide(x: Exchange, upload: UploadRecord, named: Sequence[CompletedPart]) -> CompleteUpload:
    assert x.bucket is not None
    there = {part.number: part for part in await x.services.metadata.parts(upload.segments)}
    parts = [_match(upload, wanted, there) for wanted in named]
    _check_sizes(parts)
    size = sum(part.size for part in parts)
    limit = x.services.settings.server.limits.object_bytes
    if size > limit:
        raise S3Error("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(limit))
    _check_declared_size(x, size)
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
    return CompleteUpload(
        id=x.services.new_id(),
        at=x.services.clock(),
        bucket=x.bucket.id,
        key=upload.key,
        upload=upload.id,
        generation=upload.generation,
        parts=_runs([part.number for part in parts]),
        size=size,
        etag=f"{digest.hexdigest()}-{len(parts)}",
        checksum=_checksum(x, upload, parts),
        condition=write_condition(x.headers),
    )


def _match(upload: UploadRecord, wanted: CompletedPart, there: dict[int, PartRecord]) -> PartRecord:
    """The part that is named. Raises S3Error InvalidPart, InvalidRequest."""
    part = there.get(wanted.part_number or 0)
    etag = (wanted.e_tag or "").strip().strip('"')
    if part is None or part.etag != etag.lower():
        raise _invalid_part(upload, wanted)
    if upload.algorithm is None:
        return part
    given = checksum_of(wanted, upload.algorithm)
    if given is None and upload.checksum_type == COMPOSITE:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using a {upload.algorithm.lower()} checksum. The complete request must "
            f"include the checksum for each part. It was missing for part {part.number} in the request.",
        )
    if given is not None and (part.checksum is None or given != part.checksum.value):
        raise _invalid_part(upload, wanted)
    return part


def checksum_of(part: CompletedPart, algorithm: str) -> str | None:
    """The checksum of an algorithm that a part of the request carries."""
    value: str | None = getattr(part, f"checksum_{algorithm.lower()}")
    return value


def _invalid_part(upload: UploadRecord, wanted: CompletedPart) -> S3Error:
    return S3Error(
        "InvalidPart", UploadId=upload.id, PartNumber=str(wanted.part_number), ETag=wanted.e_tag or ""
    )


def _check_sizes(parts: Sequence[PartRecord]) -> None:
    for part in parts[:-1]:
        if part.size < SMALLEST:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=str(part.size),
                MinSizeAllowed=str(SMALLEST),
                PartNumber=str(part.number),
                ETag=part.etag,
            )


def _check_declared_size(x: Exchange, size: int) -> None:
    declared = x.headers.get("x-amz-mp-object-size")
    if declared is not None and content_length(declared) != size:
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {declared[:32]} does not match what was "
            f"computed: {size}",
        )


def _checksum(x: Exchange, upload: UploadRecord, parts: Sequence[PartRecord]) -> Checksum:
    """The checksum of the object, and what the request says of it. Raises S3Error."""
    algorithm = upload.algorithm or DEFAULT_ALGORITHM
    kind = upload.checksum_type or FULL_OBJECT
    asked = x.headers.get("x-amz-checksum-type")
    if asked is not None and asked.upper() != kind:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using the {kind} checksum mode. The complete request must use the same "
            "checksum mode.",
        )
    values = [part.checksum.value if part.checksum is not None else "" for part in parts]
    if kind == COMPOSITE:
        value = composite(algorithm, values)
    else:
        value = combine(algorithm, [(v, part.size) for v, part in zip(values, parts, strict=True)])
    declared = x.headers.get(ALGORITHMS[algorithm].header)
    if declared is not None and declared != value:
        raise S3Error("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
    return Checksum(algorithm=algorithm, value=value, type=kind)


def _runs(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Ascending numbers as inclusive runs."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)


def _reply(x: Exchange, committed: Committed) -> Reply:
    checksum = committed.checksum
    return document(
        CompleteMultipartUploadResult(
            location=f"{x.scheme}://{x.host}{_path(x)}",
            bucket=x.bucket_name,
            key=x.key,
            e_tag=f'"{committed.etag}"',
            checksum_type=None if checksum is None else checksum.type,
            **checksum_fields(checksum),
        )
    )


def _path(x: Exchange) -> str:
    # As the request named it: the host may name the bucket, and a proxy may have its own paths.
    return quote(x.raw_path, safe="/%-._~")
