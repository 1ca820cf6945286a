"""Who may do what: each right of an ACL opens the operations of its row, and no others.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
#acl-access-policy-permission-mapping , and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
"""

from types import SimpleNamespace
from typing import Any

import pytest
from bleepstore.auth import acl
from bleepstore.auth.acl import ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY, Acl, Grant
from bleepstore.auth.authorizer import AclAuthorizer
from bleepstore.exchange import ANONYMOUS, Access, Account, Decision, Identity
from bleepstore.metadata import Attributes, BucketRecord, ObjectRecord, UploadRecord
from bleepstore.operations import Load, Scope
from bleepstore.s3.table import ROWS

pytestmark = pytest.mark.anyio

OWNER, WRITER, STRANGER = "bucket's owner", "object's owner", "stranger"
ROW = {row.name: row for row in ROWS}
BUILT = {row.name for row in ROWS if row.handler is not None}

LISTS = {"ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "HeadBucket"}
READS = {"GetObject", "HeadObject", "GetObjectAttributes"}
PUTS = {"PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"}
DELETES = {"DeleteObject", "DeleteObjects"}
BY_SIGNATURE = {"ListBuckets", "CreateBucket"}
OF_UPLOADS = {
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
}


def identity(name: str | None) -> Identity:
    return ANONYMOUS if name is None else Identity(account=Account(id=name, display_name=name))


def grants(owner: str, *granted: tuple[str, str]) -> bytes:
    return acl.encode(Acl(owner, tuple(Grant(*grant) for grant in granted)))


async def may(
    name: str | None,
    operation: str,
    *,
    bucket: tuple[tuple[str, str], ...] = (),
    object_: tuple[tuple[str, str], ...] = (),
    upload: str | None = None,
    missing: bool = False,
    acls: bool = True,
) -> bool:
    """Whether an account may run an operation on the writer's object in the owner's bucket."""
    row = ROW[operation]
    held = BucketRecord(
        id=1,
        name="b",
        owner=OWNER,
        region="us-east-1",
        created=0,
        acl=grants(OWNER, *bucket) if bucket else None,
    )
    found = ObjectRecord(
        bucket=1,
        key="k",
        seq=1,
        version=None,
        size=0,
        etag="",
        modified=0,
        owner=WRITER,
        attributes=Attributes(),
        acl=grants(WRITER, *object_) if object_ else None,
    )
    pending = UploadRecord(
        id="u",
        bucket=1,
        key="k",
        owner=WRITER,
        initiator=upload or WRITER,
        created=0,
        attributes=Attributes(),
        algorithm=None,
        checksum_type=None,
        generation=0,
        segments=1,
    )
    access = Access(
        identity=identity(name),
        permission=row.permission,
        bucket=None if row.loads is Load.NOTHING else held,
        object=found if row.loads in (Load.OBJECT, Load.OBJECT_DATA) and not missing else None,
        upload=pending if row.loads is Load.UPLOAD else None,
        key="k" if row.scope is Scope.OBJECT else None,
        exchange=SimpleNamespace(operation=row),  # type: ignore[arg-type]
    )
    decision = await AclAuthorizer(acls=acls).authorize(access)
    assert decision in (Decision.ALLOW, Decision.ABSTAIN)
    return decision is Decision.ALLOW


async def allowed(name: str | None, **given: Any) -> set[str]:
    """The built operations that an account may run."""
    return {operation for operation in BUILT if await may(name, operation, **given)}


BUCKET_RIGHTS = {
    "READ": LISTS,
    "WRITE": PUTS | DELETES,
    "READ_ACP": {"GetBucketAcl"},
    "WRITE_ACP": {"PutBucketAcl"},
    "FULL_CONTROL": LISTS | PUTS | DELETES | {"GetBucketAcl", "PutBucketAcl"},
}
OBJECT_RIGHTS = {
    "READ": READS,
    "WRITE": set[str](),
    "READ_ACP": {"GetObjectAcl"},
    "WRITE_ACP": {"PutObjectAcl"},
    "FULL_CONTROL": READS | {"GetObjectAcl", "PutObjectAcl"},
}


@pytest.mark.parametrize("right", BUCKET_RIGHTS)
async def test_a_right_on_a_bucket_opens_its_row_of_the_table(right: str) -> None:
    found = await allowed(STRANGER, bucket=((STRANGER, right),))
    assert found == BUCKET_RIGHTS[right] | BY_SIGNATURE


@pytest.mark.parametrize("right", OBJECT_RIGHTS)
async def test_a_right_on_an_object_opens_its_row_of_the_table(right: str) -> None:
    found = await allowed(STRANGER, object_=((STRANGER, right),))
    assert found == OBJECT_RIGHTS[right] | BY_SIGNATURE


@pytest.mark.parametrize("right", acl.PERMISSIONS)
async def test_a_right_of_somebody_else_opens_nothing(right: str) -> None:
    for grantee in ("somebody else", LOG_DELIVERY, STRANGER.upper(), ""):
        granted = ((grantee, right),)
        assert await allowed(STRANGER, bucket=granted, object_=granted) == BY_SIGNATURE
        assert await allowed(None, bucket=granted, object_=granted) == set()


@pytest.mark.parametrize("right", BUCKET_RIGHTS)
async def test_all_users_are_anybody(right: str) -> None:
    granted = ((ALL_USERS, right),)
    opened = BUCKET_RIGHTS[right] | OBJECT_RIGHTS[right]
    assert await allowed(STRANGER, bucket=granted, object_=granted) == opened | BY_SIGNATURE
    # Nobody without a name can own what it began.
    assert await allowed(None, bucket=granted, object_=granted) == opened - {"CreateMultipartUpload"}


@pytest.mark.parametrize("right", BUCKET_RIGHTS)
async def test_authenticated_users_are_anybody_who_signed(right: str) -> None:
    granted = ((AUTHENTICATED_USERS, right),)
    opened = BUCKET_RIGHTS[right] | OBJECT_RIGHTS[right]
    assert await allowed(STRANGER, bucket=granted, object_=granted) == opened | BY_SIGNATURE
    assert await allowed(None, bucket=granted, object_=granted) == set()


async def test_nothing_is_open_without_a_grant() -> None:
    assert await allowed(STRANGER) == BY_SIGNATURE
    assert await allowed(None) == set()


async def test_the_owner_of_a_bucket_rules_it_but_reads_no_object_of_another() -> None:
    closed = READS | {"GetObjectAcl", "PutObjectAcl"}
    kept = {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"}
    assert await allowed(OWNER) == BUILT - closed - kept
    assert await allowed(OWNER, bucket=((STRANGER, "FULL_CONTROL"),)) == BUILT - closed - kept


async def test_the_owner_of_an_object_rules_it_but_not_its_bucket() -> None:
    tags = {"GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"}
    own = READS | {"GetObjectAcl", "PutObjectAcl"} | tags
    locks = {name for name in BUILT if ROW[name].permission.on is Scope.OBJECT} - own
    assert await allowed(WRITER) == own | locks | BY_SIGNATURE


async def test_what_only_an_owner_may_is_opened_by_no_grant() -> None:
    everything = ((STRANGER, "FULL_CONTROL"), (ALL_USERS, "FULL_CONTROL"))
    for operation in ("DeleteBucket", "PutBucketTagging", "GetBucketLocation", "PutObjectTagging"):
        assert not await may(STRANGER, operation, bucket=everything, object_=everything)


async def test_a_missing_object_is_its_buckets_owners() -> None:
    assert await may(OWNER, "GetObject", missing=True)
    assert not await may(STRANGER, "GetObject", missing=True)


# --- multipart uploads -------------------------------------------------------------------------------


async def test_who_began_an_upload_and_may_write_goes_on_with_it() -> None:
    for operation in OF_UPLOADS:
        assert await may(STRANGER, operation, upload=STRANGER, bucket=((STRANGER, "WRITE"),))


async def test_who_began_an_upload_and_may_write_no_more_does_not() -> None:
    for operation in OF_UPLOADS:
        assert not await may(STRANGER, operation, upload=STRANGER)


async def test_an_upload_of_another_is_closed_to_who_may_write() -> None:
    """Anybody who may write to a bucket could else put its bytes under another's name."""
    for name in (STRANGER, None):
        for operation in OF_UPLOADS:
            granted = ((ALL_USERS, "FULL_CONTROL"), (STRANGER, "FULL_CONTROL"))
            assert not await may(name, operation, upload=WRITER, bucket=granted)


async def test_the_owner_of_a_bucket_lists_and_aborts_uploads_of_others_and_no_more() -> None:
    found = {operation for operation in OF_UPLOADS if await may(OWNER, operation, upload=WRITER)}
    assert found == {"AbortMultipartUpload", "ListParts"}


# --- without ACLs ------------------------------------------------------------------------------------


async def test_without_acls_everything_is_the_bucket_owners_alone() -> None:
    everything = ((ALL_USERS, "FULL_CONTROL"), (STRANGER, "FULL_CONTROL"))
    given: dict[str, Any] = {"bucket": everything, "object_": everything, "acls": False}
    assert await allowed(OWNER, upload=OWNER, **given) == BUILT
    assert await allowed(STRANGER, **given) == BY_SIGNATURE
    assert await allowed(WRITER, **given) == BY_SIGNATURE
    assert await allowed(None, **given) == set()
