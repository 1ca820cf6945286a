"""The accounts of a configuration."""

import dataclasses
import re
from typing import Any

from bleepstore.auth.accounts import ConfiguredAccounts, canonical_id
from bleepstore.secret import Secret
from bleepstore.settings import AuthSettings


def test_every_key_pair_is_an_account_of_its_own(accounts: Any) -> None:
    found = [accounts.credentials(key)[0] for key in ("AKIAIOSFODNN7EXAMPLE", "second", "third")]
    assert len({account.id for account in found}) == 3
    assert [account.display_name for account in found] == ["first", "second", "third"]
    assert accounts.first == found[0]


def test_an_unknown_key_has_no_account(accounts: Any) -> None:
    for key in ("", "SECOND", "second ", "\xe9", "fourth"):
        assert accounts.credentials(key) is None


def test_an_id_is_as_configured_or_derived_from_the_access_key(accounts: Any) -> None:
    assert accounts.credentials("third")[0].id == "the third"
    derived = accounts.credentials("second")[0].id
    assert re.fullmatch("[0-9a-f]{64}", derived)
    assert derived == canonical_id("second") != canonical_id("third")


def test_accounts_are_found_by_id(accounts: Any) -> None:
    assert accounts.by_id("the third").display_name == "third"
    assert accounts.by_id("The Third") is None
    assert accounts.by_id("") is None


def test_accounts_are_found_by_address_without_case(accounts: Any) -> None:
    """S3-CHECKLIST 57"""
    assert accounts.by_email("first@example.COM") == accounts.first
    assert accounts.by_email("") is None


def test_nobody_is_found_by_an_address_that_is_not_configured() -> None:
    assert ConfiguredAccounts(AuthSettings()).by_email("") is None


def test_no_secret_shows_itself(accounts: Any, authenticator: Any) -> None:
    """Neither settings nor accounts nor what holds them print a secret or a key made from it."""
    settings = AuthSettings(secret_key=Secret("do-not-print"))
    shown = f"{settings} {settings!r} {dataclasses.asdict(settings)} {accounts!r} {authenticator!r}"
    shown += f" {accounts.credentials('second')}"
    assert "do-not-print" not in shown
    assert "second-secret" not in shown


def test_secrets_are_equal_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("\xe9").matches("\xe9")
    assert not Secret("\xe9").matches("e")
    assert Secret("a") != "a"
