"""The built-in authorizer of bucket policies.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-s3-evaluates-access-control.html
A policy is the bucket owner's word: it can deny whatever is asked of the bucket, and allow what is
asked of the bucket or of the owner's own objects in it.
"""

from __future__ import annotations

from functools import lru_cache

from bleepstore.auth.acl import asks
from bleepstore.auth.policy import DOCUMENT, Policy, compile_policy
from bleepstore.exchange import Access, Accounts, Authorizer, Decision

_OWNERS = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
"""What no policy takes from the bucket's owner, who could not mend it otherwise."""
_OF_VERSIONS = {
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:GetObjectTorrent": "s3:GetObjectVersionTorrent",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
}
"""IAM has actions of their own for what is asked of a version by its id."""


class PolicyAuthorizer(Authorizer):
    """Votes as the bucket's policy says; abstains where there is none."""

    def __init__(self, accounts: Accounts, *, acls: bool) -> None:
        def compiled(document: bytes, bucket: str) -> Policy:
            return compile_policy(document, bucket, accounts)

        self._policy = lru_cache(maxsize=256)(compiled)
        self._acls = acls

    async def authorize(self, access: Access) -> Decision:
        """Vote."""
        bucket = access.bucket
        if bucket is None or DOCUMENT not in bucket.documents:
            return Decision.ABSTAIN
        account = access.identity.account
        action = access.permission.action
        if action in _OWNERS and account is not None and account.id == bucket.owner:
            return Decision.ABSTAIN
        document = await access.exchange.services.metadata.bucket_document(bucket.id, DOCUMENT)
        if document is None:
            return Decision.ABSTAIN
        needed, related = _actions(access)
        verdict = self._policy(document, bucket.name).decide(access, needed, related)
        if verdict is Decision.ALLOW and not self._can_allow(access):
            return Decision.ABSTAIN
        return verdict

    def _can_allow(self, access: Access) -> bool:
        """Whether the bucket's owner is in a position to give this away."""
        bucket, found, upload, account = access.bucket, access.object, access.upload, access.identity.account
        assert bucket is not None
        if account is None and access.exchange.operation.name == "CreateMultipartUpload":
            return False  # nobody could be told from anybody when the parts come
        if upload is not None and access.permission.action == "s3:PutObject":
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
            return account is not None and account.id == upload.initiator
        return found is None or found.owner == bucket.owner or not self._acls


def _actions(access: Access) -> tuple[list[str], list[str]]:
    """The actions that the request needs, all of them, and those of which a deny holds for it too."""
    asked = access.permission.action
    needed = [asked]
    if asked == "s3:PutObject":
        if asks(access.exchange):
            needed.append("s3:PutObjectAcl")
        if access.exchange.headers.get("x-amz-tagging"):
            needed.append("s3:PutObjectTagging")
    elif asked == "s3:GetObjectAttributes":
        needed.append("s3:GetObject")
    if access.version is None:
        return needed, []
    # ``null`` is the very object that a request without a version is about: who was denied that one
    # does not get it under its other name.
    return [_OF_VERSIONS.get(action, action) for action in needed], needed
