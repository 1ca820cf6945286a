"""DeleteObject and DeleteObjects.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
DeleteObjects is one command a key, all queued at once, so that they share a sync.
"""

from __future__ import annotations

import asyncio

from bleepstore.commands import Condition, DeleteObject
from bleepstore.errors import S3Error
from bleepstore.exchange import Access, Exchange, Reply
from bleepstore.http.address import check_key
from bleepstore.http.conditions import etags, write_condition
from bleepstore.http.pipeline import allowed, check_version_id
from bleepstore.http.refusals import FAULTS, s3_error
from bleepstore.s3.documents import document, read_document
from bleepstore.s3.ingest import declared_algorithm
from bleepstore.xml.shapes import Delete, DeletedObject, DeleteResult, Error, ObjectIdentifier

MOST_KEYS = 1000
NULL = "null"
UNBUILT = ("x-amz-if-match-size", "x-amz-if-match-last-modified-time")
"""Conditions of directory buckets: refused, so that nobody loses an object who relied on them."""


async def delete_object(x: Exchange) -> Reply:
    """DeleteObject: 204 whether or not the key was there."""
    assert x.bucket is not None
    assert x.key is not None
    for name in UNBUILT:
        if name in x.headers:
            raise S3Error("NotImplemented", Header=name)
    condition = write_condition(x.headers)
    if condition.if_none_match:
        raise S3Error("NotImplemented", Header="If-None-Match")
    version = x.query.get("versionId")
    if version is not None:
        check_version_id(version)
    await _delete(x, x.key, version, condition)
    return Reply(status=204, headers={} if version is None else {"x-amz-version-id": version})


async def delete_objects(x: Exchange) -> Reply:
    """DeleteObjects: a result per key, or only the failures when Quiet."""
    if "content-md5" not in x.headers and declared_algorithm(x) is None:
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5")
    request = await read_document(x, Delete)
    if not 1 <= len(request.objects) <= MOST_KEYS:
        raise S3Error("MalformedXML")
    results = await asyncio.gather(*(_delete_one(x, entry) for entry in request.objects))
    return document(
        DeleteResult(
            deleted=()
            if request.quiet
            else tuple(result for result in results if isinstance(result, DeletedObject)),
            errors=tuple(result for result in results if isinstance(result, Error)),
        )
    )


async def _delete_one(x: Exchange, entry: ObjectIdentifier) -> DeletedObject | Error:
    key, version = entry.key or "", entry.version_id or None
    try:
        if not key:
            raise S3Error("InvalidArgument", "A key must be specified.")
        check_key(key)
        if version is not None:
            check_version_id(version)
        if entry.size is not None or entry.last_modified_time is not None:
            raise S3Error("NotImplemented")
        access = Access(
            identity=x.identity,
            permission=x.operation.permission,
            bucket=x.bucket,
            key=key,
            version=version,
            exchange=x,
        )
        if not await allowed(x.services, access):
            raise S3Error("AccessDenied")
        tags = None if entry.e_tag is None else etags(entry.e_tag)
        await _delete(x, key, version, Condition(if_match=tags))
    except S3Error as error:
        return _failed(entry, error)
    except FAULTS as fault:
        return _failed(entry, s3_error(fault, x))
    return DeletedObject(key=key, version_id=version)


async def _delete(x: Exchange, key: str, version: str | None, condition: Condition) -> None:
    assert x.bucket is not None
    services = x.services
    command = DeleteObject(
        id=services.new_id(),
        at=services.clock(),
        bucket=x.bucket.id,
        key=key,
        version=version,
        condition=condition,
    )
    if services.gateway is None:
        await services.metadata.apply(command)
    else:
        await services.gateway.delete(x.bucket, command)


def _failed(entry: ObjectIdentifier, error: S3Error) -> Error:
    return Error(key=entry.key, version_id=entry.version_id, code=error.code, message=error.message)
