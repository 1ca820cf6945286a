"""Buckets: list, create, delete, and what is asked of one as a whole.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html and its relatives.
A server is one region, and every bucket is in it: what replies name is the region that signatures
must name, also after the operator renamed it.
"""

from __future__ import annotations

from bleepstore import xml
from bleepstore.auth.acl import bucket_acl_from_headers
from bleepstore.commands import CreateBucket, DeleteBucket, PutBucketDocument
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.dates import iso_time
from bleepstore.http.object_headers import refuse_unbuilt
from bleepstore.metadata import BucketRecord, Reason, Refused
from bleepstore.s3 import tagging
from bleepstore.s3.bucket_names import check_bucket_name
from bleepstore.s3.documents import XML_TYPE, document, read_body
from bleepstore.s3.paging import invalid_argument, make_token, read_token
from bleepstore.xml.shapes import (
    Bucket,
    CreateBucketConfiguration,
    ListAllMyBucketsResult,
    LocationConstraint,
    Owner,
)

MOST_BUCKETS = 10_000
"""The most buckets of one ListBuckets page, and how many there are without ``max-buckets``."""
CLASSIC_REGION = "us-east-1"
"""The region without a location constraint, where creating a bucket again succeeds."""
REGIONS = frozenset(
    [
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "cn-north-1",
        "cn-northwest-1",
        "EU",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-2",
        "us-gov-east-1",
        "us-gov-west-1",
        "us-west-1",
        "us-west-2",
    ]
)
"""The location constraints of the model: naming another region is a mistake, an unknown one nonsense."""
OWNERSHIPS = ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")
LIST_PARAMETERS = ("prefix", "max-buckets", "continuation-token", "bucket-region")


# --- listing --------------------------------------------------------------------------------------


async def list_buckets(x: Exchange) -> Reply:
    """ListBuckets: the caller's own, in pages where asked for."""
    account = x.identity.account
    if account is None:
        raise S3Error("AccessDenied")
    query, region = x.query, x.services.settings.server.region
    prefix = query.get("prefix", "")
    after = read_token(query) or ""
    limit = _most_buckets(query.get("max-buckets"))
    buckets: list[BucketRecord] = []
    truncated = False
    if query.get("bucket-region", region) in ("", region):
        page = await x.services.metadata.list_buckets(account.id, prefix=prefix, after=after, limit=limit)
        buckets = [entry for entry in page.entries if not isinstance(entry, str)]
        truncated = page.truncated
    # AWS names the region of each bucket only to who used one of the newer parameters.
    shown = region if any(query.get(name) for name in LIST_PARAMETERS) else None
    return document(
        ListAllMyBucketsResult(
            owner=Owner(id=account.id, display_name=account.display_name),
            buckets=tuple(
                Bucket(name=bucket.name, creation_date=iso_time(bucket.created), bucket_region=shown)
                for bucket in buckets
            ),
            continuation_token=make_token(buckets[-1].name) if truncated else None,
            prefix=prefix or None,
        )
    )


def _most_buckets(text: str | None) -> int:
    if not text:
        return MOST_BUCKETS
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or not 1 <= int(text) <= MOST_BUCKETS:
        raise invalid_argument(
            f"Argument max-buckets must be an integer between 1 and {MOST_BUCKETS}", "max-buckets", text
        )
    return int(text)


# --- creating -------------------------------------------------------------------------------------


async def create_bucket(x: Exchange) -> Reply:
    """CreateBucket, with its optional location constraint, tags and ACL."""
    account, name = x.identity.account, x.bucket_name
    if account is None or name is None:
        raise S3Error("AccessDenied")
    check_bucket_name(name)
    _refuse_unbuilt(x)
    body = await read_body(x)
    configuration = xml.read(CreateBucketConfiguration, body) if body else CreateBucketConfiguration()
    _check_location(configuration.location_constraint or "", x.services.settings.server.region)
    if configuration.location is not None or configuration.bucket is not None:
        raise S3Error("NotImplemented", "Directory buckets are not implemented.")
    acl = bucket_acl_from_headers(x, account)
    tags = tagging.bucket_tags(configuration.tags or ())
    command = CreateBucket(
        id=x.services.new_id(),
        at=x.now,
        name=name,
        owner=account.id,
        region=x.services.settings.server.region,
        acl=acl,
        documents={tagging.DOCUMENT: tags} if tags else {},
    )
    try:
        await x.services.metadata.apply(command)
    except Refused as refusal:
        if refusal.reason is not Reason.BUCKET_EXISTS:
            raise
        await _create_again(x, command, refusal.detail)
    return Reply(headers={"location": f"/{name}"})


async def _create_again(x: Exchange, command: CreateBucket, owner: str) -> None:
    """The bucket exists. In us-east-1 its owner's request succeeds and resets the ACL, as on AWS."""
    if owner != command.owner:
        raise S3Error("BucketAlreadyExists", BucketName=command.name)
    if command.region != CLASSIC_REGION:
        raise S3Error("BucketAlreadyOwnedByYou", BucketName=command.name)
    bucket = await x.services.metadata.bucket(command.name)
    if bucket is None:
        raise S3Error("OperationAborted")
    if bucket.acl != command.acl:
        reset = PutBucketDocument(
            id=x.services.new_id(), at=x.now, bucket=bucket.id, name="acl", body=command.acl
        )
        await x.services.metadata.apply(reset)


def _refuse_unbuilt(x: Exchange) -> None:
    """Headers that ask for what would be missing silently. Raises S3Error NotImplemented."""
    refuse_unbuilt(x.headers, x.services.settings)
    ownership = x.headers.get("x-amz-object-ownership")
    if ownership:
        if ownership not in OWNERSHIPS:
            raise invalid_argument("Invalid x-amz-object-ownership", "x-amz-object-ownership", ownership)
        # Ownership is one setting of the server (auth.acls): a bucket cannot have another.
        enforced = x.services.settings.auth.acls == "disabled"
        if ownership != ("BucketOwnerEnforced" if enforced else "ObjectWriter"):
            raise S3Error("NotImplemented", Header="x-amz-object-ownership")
    if x.headers.get("x-amz-bucket-namespace", "global") != "global":
        raise S3Error("NotImplemented", Header="x-amz-bucket-namespace")


def _check_location(constraint: str, region: str) -> None:
    """Whether a bucket with this location constraint may be made in ``region``.

    Raises S3Error IllegalLocationConstraintException (another region, or none where one is due),
    InvalidLocationConstraint (no region; ``us-east-1``, which is said by saying nothing).
    """
    if constraint == "EU" and region == "eu-west-1":
        return
    if constraint == ("" if region == CLASSIC_REGION else region):
        return
    if constraint and (constraint == region or constraint not in REGIONS | {CLASSIC_REGION}):
        raise S3Error("InvalidLocationConstraint", LocationConstraint=constraint)
    raise S3Error(
        "IllegalLocationConstraintException",
        f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific "
        "endpoint this request was sent to.",
    )


# --- one bucket -----------------------------------------------------------------------------------


async def delete_bucket(x: Exchange) -> Reply:
    """DeleteBucket: refused while objects exist; pending uploads go with the bucket."""
    assert x.bucket is not None
    await x.services.metadata.apply(DeleteBucket(id=x.services.new_id(), at=x.now, bucket=x.bucket.id))
    return Reply(status=204)


async def head_bucket(x: Exchange) -> Reply:
    """HeadBucket: it exists, the caller may list it, and this is its region."""
    return Reply(
        headers={
            "content-type": XML_TYPE,
            "x-amz-bucket-region": x.services.settings.server.region,
            "x-amz-access-point-alias": "false",
        }
    )


async def get_bucket_location(x: Exchange) -> Reply:
    """GetBucketLocation: the region, or nothing for us-east-1."""
    region = x.services.settings.server.region
    return document(LocationConstraint(region=None if region == CLASSIC_REGION else region))
