"""Multipart uploads: begin, list, abort. Completing one is in ``completing``.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import secrets

from bleepstore.auth.acl import object_acl_from_headers
from bleepstore.commands import AbortUpload, CreateUpload
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.gateway import uploads
from bleepstore.http.checksums import ALGORITHMS, upload_type
from bleepstore.http.dates import iso_time
from bleepstore.http.object_headers import object_attributes, refuse_unbuilt
from bleepstore.metadata import UploadRecord
from bleepstore.s3.completing import complete_multipart_upload
from bleepstore.s3.documents import document
from bleepstore.s3.ingest import owner_of_new
from bleepstore.s3.owners import account_of, initiator_element, owner_element
from bleepstore.s3.paging import name_writer, page_size
from bleepstore.s3.parts import pending_upload
from bleepstore.s3.tagging import tags_from_header
from bleepstore.xml.shapes import (
    CommonPrefix,
    InitiateMultipartUploadResult,
    ListMultipartUploadsResult,
    MultipartUpload,
)

__all__ = [
    "abort_multipart_upload",
    "complete_multipart_upload",
    "create_multipart_upload",
    "list_multipart_uploads",
]


async def create_multipart_upload(x: Exchange) -> Reply:
    """CreateMultipartUpload: all that the object will be except its bytes."""
    assert x.bucket is not None
    assert x.key is not None
    headers = refuse_unbuilt(x.headers, x.services.settings)
    attributes = object_attributes(x.headers)
    algorithm, kind = _checksum(x)
    owner = owner_of_new(x)
    account = x.identity.account
    command = CreateUpload(
        id=x.services.new_id(),
        at=x.services.clock(),
        bucket=x.bucket.id,
        key=x.key,
        # Rises with time, so that listings are in order of creation, and cannot be guessed.
        upload=x.services.new_id() + secrets.token_hex(16),
        owner=owner,
        initiator=account.id if account is not None else owner,
        attributes=attributes,
        algorithm=algorithm,
        checksum_type=kind,
        acl=object_acl_from_headers(x, account_of(x, owner), x.bucket),
        tags=tags_from_header(x.headers.get("x-amz-tagging")),
    )
    if x.services.gateway is None:
        upload: UploadRecord = await x.services.metadata.apply(command)
    else:
        upload = await uploads.begin(x.services.gateway, x.bucket, command)
    reply = document(InitiateMultipartUploadResult(bucket=x.bucket.name, key=x.key, upload_id=upload.id))
    reply.headers |= headers
    if algorithm is not None and kind is not None:
        reply.headers |= {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    return reply


def _checksum(x: Exchange) -> tuple[str | None, str | None]:
    """Algorithm and type, with S3's defaults. Raises S3Error InvalidRequest."""
    algorithm = x.headers.get("x-amz-checksum-algorithm")
    kind = x.headers.get("x-amz-checksum-type")
    if algorithm is None:
        if kind is not None:
            raise S3Error(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )
        return None, None
    algorithm = algorithm.upper()
    if algorithm not in ALGORITHMS:
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            f"[{', '.join(ALGORITHMS)}]",
        )
    return algorithm, upload_type(algorithm, kind.upper() if kind is not None else None)


async def abort_multipart_upload(x: Exchange) -> Reply:
    """AbortMultipartUpload."""
    assert x.bucket is not None
    upload = pending_upload(x)
    command = AbortUpload(
        id=x.services.new_id(), at=x.services.clock(), bucket=x.bucket.id, key=upload.key, upload=upload.id
    )
    if x.services.gateway is None:
        await x.services.metadata.apply(command)
    else:
        await uploads.abort(x.services.gateway, x.bucket, upload, command)
    return Reply(status=204)


async def list_multipart_uploads(x: Exchange) -> Reply:
    """ListMultipartUploads, by ``key-marker`` and ``upload-id-marker``."""
    assert x.bucket is not None
    query = x.query
    write = name_writer(query)
    limit = page_size(query, "max-uploads")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker = query.get("key-marker", "")
    # Without a key it says nothing.
    upload_marker = query.get("upload-id-marker", "") if key_marker else ""
    page = await x.services.metadata.list_uploads(
        x.bucket.id, prefix=prefix, delimiter=delimiter, after=(key_marker, upload_marker), limit=limit
    )
    truncated = page.truncated and limit > 0
    last = page.entries[-1] if truncated else None
    return document(
        ListMultipartUploadsResult(
            bucket=x.bucket.name,
            key_marker=write(key_marker),
            upload_id_marker=query.get("upload-id-marker", ""),
            next_key_marker=None if last is None else write(last if isinstance(last, str) else last.key),
            prefix=write(prefix),
            delimiter=write(delimiter) if delimiter else None,
            next_upload_id_marker=None if last is None or isinstance(last, str) else last.id,
            max_uploads=limit,
            is_truncated=truncated,
            uploads=tuple(
                MultipartUpload(
                    upload_id=entry.id,
                    key=write(entry.key),
                    initiated=iso_time(entry.created),
                    storage_class=entry.attributes.storage_class,
                    owner=owner_element(x, entry.owner),
                    initiator=initiator_element(x, entry.initiator),
                    checksum_algorithm=entry.algorithm,
                    checksum_type=entry.checksum_type,
                )
                for entry in page.entries
                if not isinstance(entry, str)
            ),
            common_prefixes=tuple(
                CommonPrefix(prefix=write(entry)) for entry in page.entries if isinstance(entry, str)
            ),
            encoding_type=query.get("encoding-type") or None,
        )
    )
