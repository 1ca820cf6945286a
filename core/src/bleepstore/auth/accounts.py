"""The accounts of a configuration: each key pair is an account of its own."""

from __future__ import annotations

import hashlib

from bleepstore.exchange import Account
from bleepstore.secret import Secret
from bleepstore.settings import AuthSettings, UserSettings


def canonical_id(access_key: str) -> str:
    """The canonical id of a user that was given none: 64 hex digits derived from the access key."""
    return hashlib.sha256(b"bleepstore account " + access_key.encode()).hexdigest()


class ConfiguredAccounts:
    """``auth`` of the configuration; the pair at its top is the first account."""

    def __init__(self, settings: AuthSettings) -> None:
        self._credentials: dict[str, tuple[Account, Secret]] = {}
        self._ids: dict[str, Account] = {}
        self._emails: dict[str, Account] = {}
        users: tuple[AuthSettings | UserSettings, ...] = (settings, *settings.users)
        for user in users:
            account = Account(
                id=user.user_id or canonical_id(user.access_key),
                display_name=user.display_name or user.access_key,
                email=user.email,
            )
            self._credentials[user.access_key] = (account, user.secret_key)
            self._ids.setdefault(account.id, account)
            if account.email:
                self._emails.setdefault(account.email.lower(), account)
        self.first = self._credentials[settings.access_key][0]

    def credentials(self, access_key: str) -> tuple[Account, Secret] | None:
        """The account and the secret of a key pair."""
        return self._credentials.get(access_key)

    def by_id(self, canonical_id: str) -> Account | None:
        """The account with a canonical id."""
        return self._ids.get(canonical_id)

    def by_email(self, email: str) -> Account | None:
        """The account with an e-mail address, compared without case."""
        return self._emails.get(email.lower())
