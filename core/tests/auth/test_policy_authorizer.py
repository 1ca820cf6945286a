"""The authorizer of bucket policies: what a bucket's owner can give away."""

import json
from types import SimpleNamespace

import pytest
from bleepstore.auth.policy_authorizer import PolicyAuthorizer
from bleepstore.exchange import ANONYMOUS, Access, Authentication, Decision, Identity
from bleepstore.operations import AclRight, Permission, Scope

pytestmark = pytest.mark.anyio

OPEN = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
}


@pytest.fixture
def vote(accounts, ask):
    async def vote(action: str, *, who: str | None = None, acls: bool = True, effect="Allow", **more):
        document = json.dumps({"Statement": [{**OPEN, "Effect": effect}]}).encode()

        async def bucket_document(bucket: str, name: str) -> bytes:
            return document

        x = ask("GET", "/b/k", operation=more.pop("operation", "GetObject"))
        x.services.metadata = SimpleNamespace(bucket_document=bucket_document)
        identity = ANONYMOUS
        if who is not None:
            identity = Identity(account=accounts.credentials(who)[0], access_key=who)
        x.authentication = Authentication(identity=identity)
        owner = accounts.credentials("second")[0].id
        access = Access(
            identity=identity,
            permission=Permission(action=action, right=AclRight.READ, on=Scope.OBJECT),
            bucket=SimpleNamespace(id="1", name="b", owner=owner, documents=("policy",)),
            exchange=x,
            **more,
        )
        return await PolicyAuthorizer(accounts, acls=acls).authorize(access)

    return vote


@pytest.mark.parametrize(("acls", "decision"), [(True, Decision.ABSTAIN), (False, Decision.ALLOW)])
async def test_an_object_of_somebody_else_is_the_bucket_owners_where_there_are_no_acls(vote, acls, decision):
    found = SimpleNamespace(owner="somebody", tags=None)
    assert await vote("s3:GetObject", key="k", object=found, acls=acls) is decision


async def test_a_deny_holds_for_an_object_of_somebody_else(vote):
    found = SimpleNamespace(owner="somebody", tags=None)
    assert await vote("s3:GetObject", key="k", object=found, effect="Deny") is Decision.DENY


async def test_the_owner_is_never_locked_out_of_the_policy(vote):
    for action in ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"):
        assert await vote(action, who="second", effect="Deny") is Decision.ABSTAIN
        assert await vote(action, who="third", effect="Deny") is Decision.DENY
    assert await vote("s3:GetBucketPolicyStatus", who="second", effect="Deny") is Decision.DENY


@pytest.mark.parametrize(
    ("action", "who", "decision"),
    [
        ("s3:PutObject", "third", Decision.ALLOW),
        ("s3:PutObject", "second", Decision.ABSTAIN),
        ("s3:PutObject", None, Decision.ABSTAIN),
        ("s3:AbortMultipartUpload", None, Decision.ALLOW),
        ("s3:ListMultipartUploadParts", "second", Decision.ALLOW),
    ],
)
async def test_an_upload_goes_on_by_who_began_it(vote, action, who, decision):
    upload = SimpleNamespace(initiator="the third")
    assert await vote(action, who=who, key="k", upload=upload, operation="UploadPart") is decision


@pytest.mark.parametrize(("who", "decision"), [(None, Decision.ABSTAIN), ("third", Decision.ALLOW)])
async def test_an_upload_is_begun_by_somebody(vote, who, decision):
    assert await vote("s3:PutObject", who=who, key="k", operation="CreateMultipartUpload") is decision
