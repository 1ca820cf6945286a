"""The built-in plugin: signatures, ACLs and bucket policies."""

from __future__ import annotations

from collections.abc import Iterable

from bleepstore.exchange import Authenticator, Authorizer
from bleepstore.plugin import API_VERSION, Context, hookimpl


class AuthPlugin:
    """Signatures, ACLs and bucket policies."""

    name = "auth"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_authenticators(self, context: Context) -> Iterable[Authenticator]:
        """Signature Version 4, after Version 2 where ``auth.legacy_sigv2`` asks for it."""
        from bleepstore.auth.accounts import ConfiguredAccounts
        from bleepstore.auth.sigv4 import SignatureV4

        settings = context.settings
        accounts = ConfiguredAccounts(settings.auth)
        current = SignatureV4(accounts, settings.server.region)
        if settings.auth.legacy_sigv2 == "off":
            return (current,)
        from bleepstore.auth.sigv2 import SignatureV2

        return SignatureV2(accounts, headers=settings.auth.legacy_sigv2 == "all"), current

    @hookimpl
    def bleepstore_authorizers(self, context: Context) -> Iterable[Authorizer]:
        """Owners, ACLs and bucket policies."""
        from bleepstore.auth.accounts import ConfiguredAccounts
        from bleepstore.auth.authorizer import AclAuthorizer
        from bleepstore.auth.policy_authorizer import PolicyAuthorizer

        settings = context.settings.auth
        acls = settings.acls == "enabled"
        return AclAuthorizer(acls=acls), PolicyAuthorizer(ConfiguredAccounts(settings), acls=acls)


plugin = AuthPlugin()
