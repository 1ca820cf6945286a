"""The built-in plugin: Signature Version 4 and ACLs."""

from __future__ import annotations

from collections.abc import Iterable

from bleepstore.exchange import Authenticator, Authorizer
from bleepstore.plugin import API_VERSION, Context, hookimpl


class AuthPlugin:
    """Signature Version 4 and ACLs."""

    name = "auth"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_authenticators(self, context: Context) -> Iterable[Authenticator]:
        """Signature Version 4, in headers and in presigned URLs."""
        from bleepstore.auth.accounts import ConfiguredAccounts
        from bleepstore.auth.sigv4 import SignatureV4

        settings = context.settings
        return (SignatureV4(ConfiguredAccounts(settings.auth), settings.server.region),)

    @hookimpl
    def bleepstore_authorizers(self, context: Context) -> Iterable[Authorizer]:
        """Owners and ACLs."""
        from bleepstore.auth.authorizer import AclAuthorizer

        return (AclAuthorizer(acls=context.settings.auth.acls == "enabled"),)


plugin = AuthPlugin()
