"""UploadPart and ListParts.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
An upload that was begun without a checksum algorithm gets CRC64NVME over the whole object, so its
parts are recorded with that checksum, whatever the client declared for each.
"""

from __future__ import annotations

from bleepstore.commands import CommitPart
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.checksums import ALGORITHMS, COMPOSITE
from bleepstore.http.dates import iso_time
from bleepstore.http.object_headers import refuse_unbuilt
from bleepstore.metadata import Checksum, Committed, UploadRecord
from bleepstore.s3.checksum_headers import checksum_fields
from bleepstore.s3.documents import document
from bleepstore.s3.ingest import DEFAULT_ALGORITHM, declared_algorithm, receive
from bleepstore.s3.native import part_stage, receive_native
from bleepstore.s3.owners import initiator_element, owner_element
from bleepstore.s3.paging import invalid_argument, page_size
from bleepstore.xml.shapes import ListPartsResult, Part

MOST_PARTS = 10_000


def part_number(x: Exchange) -> int:
    """The ``partNumber`` of a request. Raises S3Error InvalidArgument."""
    text = x.query.get("partNumber", "")
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or not 1 <= int(text) <= MOST_PARTS:
        message = f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive"
        raise invalid_argument(message, "partNumber", text[:64])
    return int(text)


def pending_upload(x: Exchange) -> UploadRecord:
    """The upload of a request, while it takes parts. Raises S3Error NoSuchUpload."""
    if x.upload is None or x.upload.completed is not None:
        raise S3Error("NoSuchUpload", UploadId=x.query.get("uploadId", ""))
    return x.upload


async def upload_part(x: Exchange) -> Reply:
    """UploadPart."""
    assert x.bucket is not None
    upload = pending_upload(x)
    number = part_number(x)
    headers = refuse_unbuilt(x.headers, x.services.settings)
    algorithm = _check_algorithm(x, upload)
    if x.services.gateway is None:
        received = await receive(x, algorithm=algorithm, default=upload.algorithm is None)
    else:
        stage = part_stage(x, upload, number)
        received = await receive_native(x, stage, algorithm=algorithm, default=upload.algorithm is None)
    checksum = received.checksum
    if received.default is not None:
        checksum = Checksum(algorithm=DEFAULT_ALGORITHM, value=received.default)
    command = CommitPart(
        id=x.services.new_id(),
        at=x.services.clock(),
        bucket=x.bucket.id,
        key=upload.key,
        upload=upload.id,
        number=number,
        content=received.content,
        etag=received.md5,
        checksum=checksum,
    )
    committed: Committed = await received.commit(x, command)
    headers["etag"] = f'"{committed.etag}"'
    if received.checksum is not None:
        headers[ALGORITHMS[received.checksum.algorithm].header] = received.checksum.value
    return Reply(headers=headers)


def _check_algorithm(x: Exchange, upload: UploadRecord) -> str:
    """The algorithm to compute where the part declares none. Raises S3Error InvalidRequest."""
    declared, wanted = declared_algorithm(x), upload.algorithm
    if wanted is None:
        return DEFAULT_ALGORITHM
    if declared != wanted and (declared is not None or upload.checksum_type == COMPOSITE):
        raise S3Error(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {wanted.lower()}, "
            f"actual checksum Type: {declared.lower() if declared else 'null'}",
        )
    return wanted


async def list_parts(x: Exchange) -> Reply:
    """ListParts, by ``part-number-marker``."""
    upload = pending_upload(x)
    limit = page_size(x.query, "max-parts")
    marker = _marker(x)
    found = await x.services.metadata.parts(upload.segments, after=marker, limit=limit + 1)
    page = found[:limit]
    truncated = len(found) > limit > 0
    return document(
        ListPartsResult(
            bucket=x.bucket_name,
            key=upload.key,
            upload_id=upload.id,
            part_number_marker=marker,
            next_part_number_marker=page[-1].number if page else 0,
            max_parts=limit,
            is_truncated=truncated,
            parts=tuple(
                Part(
                    part_number=part.number,
                    last_modified=iso_time(part.modified),
                    e_tag=f'"{part.etag}"',
                    size=part.size,
                    **(checksum_fields(part.checksum) if upload.algorithm else {}),
                )
                for part in page
            ),
            initiator=initiator_element(x, upload.initiator),
            owner=owner_element(x, upload.owner),
            storage_class=upload.attributes.storage_class,
            checksum_algorithm=upload.algorithm,
            checksum_type=upload.checksum_type,
        )
    )


def _marker(x: Exchange) -> int:
    text = x.query.get("part-number-marker") or "0"
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        message = "Argument part-number-marker must be an integer between 0 and 2147483647"
        raise invalid_argument(message, "part-number-marker", text[:64])
    return int(text)
