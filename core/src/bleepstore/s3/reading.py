"""GetObject and HeadObject: one metadata read, conditions and range as pure functions, then bytes.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.conditions import decide
from bleepstore.http.dates import http_date, parse_http_date
from bleepstore.http.object_headers import metadata_headers
from bleepstore.http.ranges import Span, Unsatisfiable, invalid_range, parse_range
from bleepstore.metadata import Checksum, ObjectRecord
from bleepstore.s3.checksum_headers import checksum_headers
from bleepstore.s3.native import check_empty, read_again
from bleepstore.s3.streams import object_body
from bleepstore.s3.tagging import may_read_tags, tag_count
from bleepstore.storage import BlobMissing, TokenMismatch

OVERRIDES = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-content-type": "content-type",
    "response-expires": "expires",
}
"""Query parameters that replace a header of the reply."""
MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class _Selection:
    """What of an object is asked for."""

    span: Span
    partial: bool
    """Whether the reply is a 206."""
    checksum: Checksum | None
    """The checksum that belongs to the span."""
    parts: int = 0
    """``x-amz-mp-parts-count``, for a ``partNumber`` read of a multipart object."""


async def get_object(x: Exchange) -> Reply:
    """GetObject."""
    assert x.object is not None
    try:
        return await _get(x, x.object)
    except (BlobMissing, TokenMismatch):
        if x.services.gateway is not None:
            return await read_again(x, x.object, _get)
        # Between the row and the blob the object was replaced: read the row that is there now.
        _, found = await x.services.metadata.object(x.bucket_name or "", x.key or "", data=True)
        if found is None or found.seq == x.object.seq:
            raise
        return await _get(x, found)


async def _get(x: Exchange, found: ObjectRecord) -> Reply:
    headers = await object_headers(x, found)
    unchanged = _decide(x, found, headers)
    if unchanged is not None:
        return unchanged
    selection = await _select(x, found)
    reply = _reply(x, found, headers, selection)
    if found.size == 0 and x.services.gateway is not None:
        await check_empty(x, found)
    reply.body = await object_body(x, found, selection.span)
    return reply


async def head_object(x: Exchange) -> Reply:
    """HeadObject: every header that GetObject has, and no bytes."""
    assert x.object is not None
    headers = await object_headers(x, x.object)
    unchanged = _decide(x, x.object, headers)
    if unchanged is not None:
        return unchanged
    return _reply(x, x.object, headers, await _select(x, x.object))


async def object_headers(x: Exchange, found: ObjectRecord) -> dict[str, str]:
    """What is the same for all replies about an object."""
    attributes = found.attributes
    headers = {
        "last-modified": http_date(found.modified),
        "etag": f'"{found.etag}"',
        "accept-ranges": "bytes",
        **attributes.headers,
    }
    if attributes.metadata:
        headers |= metadata_headers(attributes.metadata)
    if attributes.storage_class != "STANDARD":
        headers["x-amz-storage-class"] = attributes.storage_class
    if found.tags is not None and await may_read_tags(x, found, x.bucket, x.query.get("versionId")):
        headers["x-amz-tagging-count"] = str(tag_count(found.tags))
    if "versionId" in x.query:
        headers["x-amz-version-id"] = found.version or "null"
    if x.services.settings.storage.encrypted_at_rest:
        headers["x-amz-server-side-encryption"] = "AES256"
    if x.query and not OVERRIDES.keys().isdisjoint(x.query):
        _override(x, headers)
    return headers


def _override(x: Exchange, headers: dict[str, str]) -> None:
    if x.identity.anonymous:
        raise S3Error(
            "InvalidRequest",
            "Request specific response headers cannot be used for anonymous GET requests.",
        )
    for name, header in OVERRIDES.items():
        value = x.query.get(name)
        if value:
            headers[header] = value


def _decide(x: Exchange, found: ObjectRecord, headers: dict[str, str]) -> Reply | None:
    """The 304, if it is one. Raises S3Error PreconditionFailed."""
    verdict = decide(x.headers, found.etag, found.modified)
    if verdict is None:
        return None
    if not verdict.not_modified:
        raise S3Error("PreconditionFailed", Condition=verdict.value)
    kept = {name: value for name, value in headers.items() if not name.startswith("content-")}
    return Reply(status=304, headers=kept)


async def _select(x: Exchange, found: ObjectRecord) -> _Selection:
    header = x.headers.get("range")
    number = x.query.get("partNumber")
    whole = _Selection(Span(0, found.size), False, found.attributes.checksum)
    if number is not None:
        if header is not None:
            raise S3Error(
                "InvalidRequest", "Cannot specify both Range header and partNumber query parameter."
            )
        return await _part(x, found, _part_number(number), whole)
    if header is None or not _range_holds(x, found):
        return whole
    try:
        span = parse_range(header, found.size)
    except Unsatisfiable:
        raise invalid_range(header, found.size) from None
    return whole if span is None else _Selection(span, True, None)


def _range_holds(x: Exchange, found: ObjectRecord) -> bool:
    """``If-Range``: a range of another state would not fit what the client has."""
    known = x.headers.get("if-range")
    if known is None or known == f'"{found.etag}"':
        return True
    return parse_http_date(known) == found.modified // 1000 * 1000


def _part_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or not 1 <= int(text) <= MOST_PARTS:
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text[:64],
        )
    return int(text)


async def _part(x: Exchange, found: ObjectRecord, number: int, whole: _Selection) -> _Selection:
    if found.parts == 0 or found.segments is None:
        if number != 1:
            raise S3Error("InvalidPartNumber", PartNumberRequested=str(number), ActualPartCount="1")
        return _Selection(whole.span, found.size > 0, whole.checksum)
    start = 0
    for part in await x.services.metadata.parts(found.segments):
        if part.number == number:
            composite = whole.checksum is not None and whole.checksum.type == "COMPOSITE"
            checksum = replace(part.checksum, type="COMPOSITE") if part.checksum and composite else None
            return _Selection(Span(start, part.size), part.size > 0, checksum, found.parts)
        start += part.size
    raise S3Error("InvalidPartNumber", PartNumberRequested=str(number), ActualPartCount=str(found.parts))


def _reply(x: Exchange, found: ObjectRecord, headers: dict[str, str], selection: _Selection) -> Reply:
    if selection.partial:
        headers["content-range"] = selection.span.content_range(found.size)
    if selection.parts:
        headers["x-amz-mp-parts-count"] = str(selection.parts)
    if selection.checksum is not None and x.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers |= checksum_headers(selection.checksum)
    return Reply(status=206 if selection.partial else 200, headers=headers, length=selection.span.length)
