"""The ACLs of buckets and objects.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html and its relatives.
"""

from __future__ import annotations

from bleepstore.auth import acl
from bleepstore.commands import PutBucketDocument, PutObjectDocument
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.s3.documents import document, read_body
from bleepstore.s3.owners import account_of
from bleepstore.xml import read
from bleepstore.xml.shapes import AccessControlPolicy


async def get_bucket_acl(x: Exchange) -> Reply:
    """GetBucketAcl."""
    assert x.bucket is not None
    return document(acl.to_document(acl.effective(x.bucket.acl, x.bucket.owner), x.services.accounts))


async def put_bucket_acl(x: Exchange) -> Reply:
    """PutBucketAcl: a canned ACL, grants in headers, or a document."""
    assert x.bucket is not None
    owner = x.bucket.owner
    body = await read_body(x)
    if _disabled(x):
        return _unchanged(x)
    if acl.asks(x):
        _refuse_both(body)
        stored = acl.bucket_acl_from_headers(x, account_of(x, owner))
    else:
        stored = _from_body(x, body, owner)
    command = PutBucketDocument(
        id=x.services.new_id(), at=x.services.clock(), bucket=x.bucket.id, name="acl", body=stored
    )
    await x.services.metadata.apply(command)
    return Reply()


async def get_object_acl(x: Exchange) -> Reply:
    """GetObjectAcl."""
    assert x.object is not None
    return document(acl.to_document(acl.effective(x.object.acl, x.object.owner), x.services.accounts))


async def put_object_acl(x: Exchange) -> Reply:
    """PutObjectAcl: a canned ACL, grants in headers, or a document."""
    assert x.bucket is not None
    assert x.object is not None
    owner = x.object.owner
    body = await read_body(x)
    if _disabled(x):
        return _unchanged(x)
    if acl.asks(x):
        _refuse_both(body)
        stored = acl.object_acl_from_headers(x, account_of(x, owner), x.bucket)
    else:
        stored = _from_body(x, body, owner)
    command = PutObjectDocument(
        id=x.services.new_id(),
        at=x.services.clock(),
        bucket=x.object.bucket,
        key=x.object.key,
        version=x.object.version,
        name="acl",
        body=stored,
    )
    await x.services.metadata.apply(command)
    return Reply()


def _disabled(x: Exchange) -> bool:
    return x.services.settings.auth.acls == "disabled"


def _unchanged(x: Exchange) -> Reply:
    """With ACLs disabled only what changes nothing is accepted."""
    acl.refuse_disabled(x)
    if not acl.asks(x):
        raise S3Error("AccessControlListNotSupported")
    return Reply()


def _refuse_both(body: bytes) -> None:
    if body:
        raise S3Error(
            "UnexpectedContent", "This request does not support content beside an ACL in its headers."
        )


def _from_body(x: Exchange, body: bytes, owner: str) -> bytes | None:
    if not body:
        raise S3Error(
            "MissingSecurityHeader",
            "Your request was missing a required header",
            MissingHeaderName="x-amz-acl",
        )
    try:
        policy = read(AccessControlPolicy, body)
    except S3Error as error:
        raise S3Error("MalformedACLError") from error
    parsed = acl.from_document(policy, x.services.accounts, owner)
    return None if parsed == acl.private(owner) else acl.encode(parsed)
