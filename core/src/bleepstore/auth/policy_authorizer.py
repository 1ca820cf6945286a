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


class PolicyAuthorizer(Authorizer):
    """Votes as the bucket's policy says; abstains where there is none."""

    def __init__(self, accounts: Accounts) -> None:
        def compiled(document: bytes, bucket: str) -> Policy:
            return compile_policy(document, bucket, accounts)

        self._policy = lru_cache(maxsize=256)(compiled)

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
        verdict = self._policy(document, bucket.name).decide(access, _actions(access))
        found = access.object
        if verdict is Decision.ALLOW and found is not None and found.owner != bucket.owner:
            return Decision.ABSTAIN
        return verdict


def _actions(access: Access) -> list[str]:
    """The permission's action, and what the headers of an upload ask for beside it."""
    actions = [access.permission.action]
    if actions[0] == "s3:PutObject":
        if asks(access.exchange):
            actions.append("s3:PutObjectAcl")
        if access.exchange.headers.get("x-amz-tagging"):
            actions.append("s3:PutObjectTagging")
    return actions
