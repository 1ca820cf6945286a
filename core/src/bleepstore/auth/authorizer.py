"""The built-in authorizer: owners and ACLs.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-alternatives-guidelines.html
The owner of a bucket may do everything with the bucket, and remove every object in it; what an
object's ACL grants is decided by the object's owner. Parts of a multipart upload are uploaded and
completed by who began it alone; the bucket's owner too may list and abort them. With
``auth.acls: disabled`` the bucket's owner owns all objects too, and nobody else may do anything.
"""

from __future__ import annotations

from bleepstore.auth.acl import ALL_USERS, AUTHENTICATED_USERS, decode
from bleepstore.exchange import Access, Authorizer, Decision
from bleepstore.metadata import UploadRecord
from bleepstore.operations import AclRight, Permission, Scope

_OF_BUCKET_OWNERS = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions"""


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
        if me is None and access.exchange.operation.name == "CreateMultipartUpload":
            return False  # nobody could be told from anybody when the parts come
        if access.upload is not None and not _takes_part(permission, access.upload, me, owns=owns_bucket):
            return False
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


def _takes_part(permission: Permission, upload: UploadRecord, me: str | None, *, owns: bool) -> bool:
    return (me is not None and me == upload.initiator) or (owns and permission.action in _OF_BUCKET_OWNERS)


def _granted(stored: bytes, right: str, me: str | None) -> bool:
    return any(
        grant.permission in (right, "FULL_CONTROL")
        and (
            grant.grantee == ALL_USERS
            or (me is not None and (grant.grantee == AUTHENTICATED_USERS or grant.grantee == me))
        )
        for grant in decode(stored).grants
    )
