"""The policy of a bucket. What it allows and denies is in :mod:`bleepstore.auth.policy`.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html and its relatives.
"""

from __future__ import annotations

from bleepstore.auth.policy import DOCUMENT, check, compile_policy
from bleepstore.commands import PutBucketDocument
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.s3.documents import document, read_body
from bleepstore.xml.shapes import PolicyStatus


async def get_bucket_policy(x: Exchange) -> Reply:
    """GetBucketPolicy: the text as it was put."""
    _refuse_strangers(x)
    return Reply(headers={"content-type": "application/json"}, body=await _stored(x))


async def get_bucket_policy_status(x: Exchange) -> Reply:
    """GetBucketPolicyStatus: whether the policy opens the bucket to everybody."""
    assert x.bucket is not None
    policy = compile_policy(await _stored(x), x.bucket.name, x.services.accounts)
    return document(PolicyStatus(is_public=policy.public))


async def put_bucket_policy(x: Exchange) -> Reply:
    """PutBucketPolicy: replace the policy; one that is not wholly understood is refused."""
    assert x.bucket is not None
    _refuse_strangers(x)
    body = await read_body(x)
    check(body, x.bucket.name, x.services.accounts)
    return await _set(x, body)


async def delete_bucket_policy(x: Exchange) -> Reply:
    """DeleteBucketPolicy: 204 whether or not there was one."""
    _refuse_strangers(x)
    return await _set(x, None)


def _refuse_strangers(x: Exchange) -> None:
    """Whatever a policy allows, the policy itself is the owner's. Raises S3Error MethodNotAllowed."""
    assert x.bucket is not None
    account = x.identity.account
    if account is None or account.id != x.bucket.owner:
        raise S3Error("MethodNotAllowed", Method=x.method, ResourceType="BUCKETPOLICY")


async def _stored(x: Exchange) -> bytes:
    assert x.bucket is not None
    found = None
    if DOCUMENT in x.bucket.documents:
        found = await x.services.metadata.bucket_document(x.bucket.id, DOCUMENT)
    if found is None:
        raise S3Error("NoSuchBucketPolicy", BucketName=x.bucket.name)
    return found


async def _set(x: Exchange, body: bytes | None) -> Reply:
    assert x.bucket is not None
    command = PutBucketDocument(
        id=x.services.new_id(), at=x.now, bucket=x.bucket.id, name=DOCUMENT, body=body
    )
    await x.services.metadata.apply(command)
    return Reply(status=204)
