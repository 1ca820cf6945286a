"""GetObjectAttributes.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from __future__ import annotations

from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.dates import http_date
from bleepstore.metadata import Checksum as ObjectChecksum
from bleepstore.metadata import ObjectRecord
from bleepstore.s3.checksum_headers import checksum_fields
from bleepstore.s3.documents import document
from bleepstore.s3.paging import PAGE, invalid_argument
from bleepstore.xml.shapes import (
    Checksum,
    GetObjectAttributesParts,
    GetObjectAttributesResponse,
    ObjectPart,
)

NAMES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
HEADER = "x-amz-object-attributes"


async def get_object_attributes(x: Exchange) -> Reply:
    """GetObjectAttributes: what was asked for and nothing else."""
    assert x.object is not None
    found = x.object
    asked = _asked(x)
    checksum = found.attributes.checksum
    reply = document(
        GetObjectAttributesResponse(
            e_tag=found.etag if "ETag" in asked else None,
            checksum=_checksum(checksum) if "Checksum" in asked and checksum is not None else None,
            object_parts=await _parts(x, found) if "ObjectParts" in asked and found.parts else None,
            storage_class=found.attributes.storage_class if "StorageClass" in asked else None,
            object_size=found.size if "ObjectSize" in asked else None,
        )
    )
    reply.headers["last-modified"] = http_date(found.modified)
    if "versionId" in x.query:
        reply.headers["x-amz-version-id"] = found.version or "null"
    return reply


def _asked(x: Exchange) -> set[str]:
    header = x.headers.get(HEADER)
    if not header:
        raise invalid_argument(f"The {HEADER} header is missing or empty.", HEADER, header or "")
    asked = {name.strip() for name in header.split(",")}
    for name in asked:
        if name not in NAMES:
            raise invalid_argument("Invalid attribute name specified.", HEADER, name[:256])
    return asked


def _checksum(checksum: ObjectChecksum) -> Checksum:
    # The number of parts after a COMPOSITE value is in the headers only.
    bare = ObjectChecksum(
        algorithm=checksum.algorithm, value=checksum.value.partition("-")[0], type=checksum.type
    )
    return Checksum(checksum_type=checksum.type, **checksum_fields(bare))


async def _parts(x: Exchange, found: ObjectRecord) -> GetObjectAttributesParts:
    assert found.segments is not None
    limit, marker = _number(x, "x-amz-max-parts", PAGE), _number(x, "x-amz-part-number-marker", 0)
    limit = min(limit, PAGE)
    parts = await x.services.metadata.parts(found.segments, after=marker, limit=limit + 1)
    page = parts[:limit]
    checksum = found.attributes.checksum
    # AWS lists the parts of objects whose parts have checksums of their own.
    listed = checksum is not None and checksum.type == "COMPOSITE"
    return GetObjectAttributesParts(
        parts_count=found.parts,
        part_number_marker=marker,
        next_part_number_marker=page[-1].number if page else 0,
        max_parts=limit,
        is_truncated=len(parts) > limit > 0,
        parts=tuple(
            ObjectPart(part_number=part.number, size=part.size, **checksum_fields(part.checksum))
            for part in page
        )
        if listed
        else (),
    )


def _number(x: Exchange, header: str, default: int) -> int:
    text = x.headers.get(header)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise S3Error(
            "InvalidArgument",
            f"Provided {header} not an integer or within integer range",
            ArgumentName=header,
            ArgumentValue=text[:64],
        )
    return int(text)
