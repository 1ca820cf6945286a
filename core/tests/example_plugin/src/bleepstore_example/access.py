"""Who asks, and what they may."""

from __future__ import annotations

from collections.abc import Collection

from bleepstore.errors import S3Error
from bleepstore.exchange import (
    Access,
    Authentication,
    Authenticator,
    Authorizer,
    Decision,
    Exchange,
    Identity,
)
from bleepstore.operations import AclRight
from bleepstore.secret import Secret


class BearerToken(Authenticator):
    """``Authorization: Bearer TOKEN`` is the first account."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    async def authenticate(self, x: Exchange) -> Authentication | None:
        scheme, _, token = x.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        if not self._token or not self._token.matches(token):
            raise S3Error("AccessDenied")
        return Authentication(identity=Identity(account=x.services.accounts.first))


class Frozen(Authorizer):
    """Nothing in these buckets may be changed, not even by their owner."""

    def __init__(self, buckets: Collection[str]) -> None:
        self._buckets = frozenset(buckets)

    async def authorize(self, access: Access) -> Decision:
        if access.bucket is None or access.bucket.name not in self._buckets:
            return Decision.ABSTAIN
        reads = access.permission.right in (AclRight.READ, AclRight.READ_ACP)
        return Decision.ABSTAIN if reads else Decision.DENY
