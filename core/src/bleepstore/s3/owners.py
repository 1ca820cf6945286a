"""Accounts as documents name them."""

from __future__ import annotations

from bleepstore.exchange import Account, Exchange
from bleepstore.xml.shapes import Initiator, Owner


def account_of(x: Exchange, canonical_id: str) -> Account:
    """The account with an id; one without a name where it was taken out of the configuration."""
    found = x.services.accounts.by_id(canonical_id)
    return found or Account(id=canonical_id, display_name="")


def owner_element(x: Exchange, canonical_id: str) -> Owner:
    """An ``<Owner>``."""
    account = account_of(x, canonical_id)
    return Owner(id=account.id, display_name=account.display_name or None)


def initiator_element(x: Exchange, canonical_id: str) -> Initiator:
    """An ``<Initiator>``."""
    account = account_of(x, canonical_id)
    return Initiator(id=account.id, display_name=account.display_name or None)
