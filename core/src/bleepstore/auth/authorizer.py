"""The built-in authorizer: owners and ACLs.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-alternatives-guidelines.html
The owner of a bucket may do everything with the bucket, and remove every object in it; what an
object's ACL grants is decided by the object's owner. With ``auth.acls: disabled`` the bucket's owner
owns all objects too, and nobody else may do anything.
"""

from __future__ import annotations

from bleepstore.auth.acl import ALL_USERS, AUTHENTICATED_USERS, decode
from bleepstore.exchange import Access, Authorizer, Decision
from bleepstore.operations import AclRight, Scope


class AclAuthorizer(Authorizer):
    """Votes allow or abstains: an ACL cannot deny."""

    def __init__(self, *, acls: bool) -> None:
        self._acls = acls

    async def authorize(self, access: Access) -> Decision:
        """Vote."""
        return Decision.ALLOW if self._allows(access) else Decision.ABSTAIN

    def _allows(self, access: Access) -> bool:
        account = access.identity.account
        me = account.id if account is not None else None
        permission, bucket = access.permission, access.bucket
        if permission.right is AclRight.SIGNED:
            return me is not None
        if bucket is None:
            return False
        owns_bucket = me is not None and me == bucket.owner
        if permission.on is Scope.BUCKET or not self._acls:
            if owns_bucket:
                return True
            stored = bucket.acl
        else:
            found = access.object
            if found is None:
                return owns_bucket
            if me is not None and me == found.owner:
                return True
            if permission.right is AclRight.OWNER:
                return owns_bucket
            stored = found.acl
        if not self._acls or stored is None or permission.right is AclRight.OWNER:
            return False
        return _granted(stored, permission.right.value, me)


def _granted(stored: bytes, right: str, me: str | None) -> bool:
    return any(
        grant.permission in (right, "FULL_CONTROL")
        and (
            grant.grantee == ALL_USERS
            or (me is not None and (grant.grantee == AUTHENTICATED_USERS or grant.grantee == me))
        )
        for grant in decode(stored).grants
    )
