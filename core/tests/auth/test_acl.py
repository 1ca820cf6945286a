"""Access control lists: what headers and documents grant, and to whom they may not.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from typing import Any

import pytest
from bleepstore.auth import acl
from bleepstore.auth.accounts import ConfiguredAccounts, canonical_id
from bleepstore.auth.acl import ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY, Acl, Grant
from bleepstore.errors import S3Error
from bleepstore.exchange import Account
from bleepstore.metadata import BucketRecord
from bleepstore.xml import read, write
from bleepstore.xml.shapes import AccessControlPolicy, Grantee, Owner
from bleepstore.xml.shapes import Grant as GrantElement
from hypothesis import given
from hypothesis import strategies as st

ME = canonical_id("AKIAIOSFODNN7EXAMPLE")
OTHER = canonical_id("second")
OWNER = Account(id=ME, display_name="first")
FULL = Grant(ME, "FULL_CONTROL")


def bucket_of(owner: str) -> BucketRecord:
    return BucketRecord(id=1, name="b", owner=owner, region="us-east-1", created=0)


def object_acl(ask: Any, headers: dict[str, str], *, bucket_owner: str = ME, acls: str = "enabled") -> Acl:
    x = ask("PUT", "/b/k", headers, acls=acls)
    return acl.effective(acl.object_acl_from_headers(x, OWNER, bucket_of(bucket_owner)), ME)


def bucket_acl(ask: Any, headers: dict[str, str], acls: str = "enabled") -> Acl:
    return acl.effective(acl.bucket_acl_from_headers(ask("PUT", "/b", headers, acls=acls), OWNER), ME)


def code_of(call: Any, *arguments: Any, **more: Any) -> str:
    with pytest.raises(S3Error) as caught:
        call(*arguments, **more)
    return caught.value.code


# --- canned ---------------------------------------------------------------------------------------

BOTH = {
    "private": (),
    "public-read": (Grant(ALL_USERS, "READ"),),
    "public-read-write": (Grant(ALL_USERS, "READ"), Grant(ALL_USERS, "WRITE")),
    "authenticated-read": (Grant(AUTHENTICATED_USERS, "READ"),),
    "aws-exec-read": (),
}
LOGS = (Grant(LOG_DELIVERY, "WRITE"), Grant(LOG_DELIVERY, "READ_ACP"))


@pytest.mark.parametrize(
    ("name", "grants"),
    [
        *BOTH.items(),
        ("log-delivery-write", LOGS),
        ("bucket-owner-read", ()),
        ("bucket-owner-full-control", ()),
    ],
)
def test_a_canned_acl_of_a_bucket(ask: Any, name: str, grants: tuple[Grant, ...]) -> None:
    assert bucket_acl(ask, {"x-amz-acl": name}) == Acl(ME, (FULL, *grants))


@pytest.mark.parametrize(
    ("name", "grants"),
    [
        *BOTH.items(),
        ("bucket-owner-read", (Grant(OTHER, "READ"),)),
        ("bucket-owner-full-control", (Grant(OTHER, "FULL_CONTROL"),)),
    ],
)
def test_a_canned_acl_of_an_object_in_anothers_bucket(ask: Any, name: str, grants: tuple[Grant, ...]) -> None:
    found = object_acl(ask, {"x-amz-acl": name}, bucket_owner=OTHER)
    assert found == Acl(ME, (FULL, *grants))


@pytest.mark.parametrize("name", ["bucket-owner-read", "bucket-owner-full-control"])
def test_the_bucket_owner_needs_no_grant_on_its_own_object(ask: Any, name: str) -> None:
    assert object_acl(ask, {"x-amz-acl": name}) == acl.private(ME)


@pytest.mark.parametrize("name", ["", "Private", "public", "public-read ,x", "\xe9", "log-delivery-write"])
def test_an_unknown_canned_acl_is_refused(ask: Any, name: str) -> None:
    assert code_of(object_acl, ask, {"x-amz-acl": name}) == "InvalidArgument"


def test_private_is_stored_as_nothing(ask: Any) -> None:
    """S3-CHECKLIST 35"""
    x = ask("PUT", "/b/k", {"x-amz-acl": "private"})
    assert acl.object_acl_from_headers(x, OWNER, bucket_of(ME)) is None
    assert acl.object_acl_from_headers(ask("PUT", "/b/k"), OWNER, bucket_of(ME)) is None


# --- grants in headers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "permission"), acl.GRANT_HEADERS.items())
def test_a_grant_in_a_header(ask: Any, header: str, permission: str) -> None:
    found = bucket_acl(ask, {header: f'id="{OTHER}"'})
    assert found == Acl(ME, (Grant(OTHER, permission),))


def test_grants_in_headers_name_ids_groups_and_addresses(ask: Any) -> None:
    """S3-CHECKLIST 57"""
    value = f'id={OTHER} , uri="{ALL_USERS}",emailAddress=\'FIRST@example.com\', id="the third"'
    found = object_acl(ask, {"x-amz-grant-read": value})
    assert found.grants == tuple(Grant(name, "READ") for name in (OTHER, ALL_USERS, ME, "the third"))


def test_a_grant_said_twice_is_one(ask: Any) -> None:
    found = object_acl(ask, {"x-amz-grant-read": f"id={OTHER},emailAddress=second@example.com"})
    assert found.grants == (Grant(OTHER, "READ"),)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "InvalidArgument"),
        ("id", "InvalidArgument"),
        ("id=", "InvalidArgument"),
        ('id="unknown"', "InvalidArgument"),
        (f'ID="{OTHER}"', "InvalidArgument"),
        (f'id="{OTHER}",', "InvalidArgument"),
        (OTHER, "InvalidArgument"),
        ('uri="http://acs.amazonaws.com/groups/global/Nobody"', "InvalidArgument"),
        (f'id="{ALL_USERS}"', "InvalidArgument"),
        (f'uri="{OTHER}"', "InvalidArgument"),
        ('emailAddress="nobody@example.com"', "UnresolvableGrantByEmailAddress"),
        ("emailAddress=", "UnresolvableGrantByEmailAddress"),
        ("emailAddress=\xe9@example.com", "UnresolvableGrantByEmailAddress"),
    ],
)
def test_a_grant_to_nobody_is_refused(ask: Any, value: str, code: str) -> None:
    """S3-CHECKLIST 57"""
    assert code_of(object_acl, ask, {"x-amz-grant-read": value}) == code


def test_grants_beside_a_canned_acl_are_refused(ask: Any) -> None:
    headers = {"x-amz-acl": "private", "x-amz-grant-read": f"id={OTHER}"}
    assert code_of(object_acl, ask, headers) == "InvalidRequest"


def test_more_than_100_grants_are_refused(ask: Any) -> None:
    document = AccessControlPolicy(
        owner=Owner(id=ME),
        access_control_list=tuple(
            GrantElement(grantee=Grantee(type="CanonicalUser", id=name), permission=permission)
            for name in (f"account {n}" for n in range(21))
            for permission in acl.PERMISSIONS
        ),
    )

    class Everybody(ConfiguredAccounts):
        def by_id(self, canonical_id: str) -> Account | None:
            return Account(id=canonical_id, display_name="")

    everybody = Everybody.__new__(Everybody)
    assert code_of(acl.from_document, document, everybody, ME) == "InvalidRequest"


# --- documents --------------------------------------------------------------------------------------


def document(*grants: tuple[dict[str, Any], str], owner: str | None = ME) -> AccessControlPolicy:
    return AccessControlPolicy(
        owner=None if owner is None else Owner(id=owner),
        access_control_list=tuple(
            GrantElement(grantee=Grantee(**grantee), permission=permission) for grantee, permission in grants
        ),
    )


def test_a_document_grants_to_ids_groups_and_addresses(accounts: Any) -> None:
    """S3-CHECKLIST 57"""
    found = acl.from_document(
        document(
            ({"type": "CanonicalUser", "id": OTHER}, "READ"),
            ({"type": "Group", "uri": AUTHENTICATED_USERS}, "READ_ACP"),
            ({"type": "AmazonCustomerByEmail", "email_address": "Second@Example.com"}, "WRITE_ACP"),
        ),
        accounts,
        ME,
    )
    assert found == Acl(
        ME, (Grant(OTHER, "READ"), Grant(AUTHENTICATED_USERS, "READ_ACP"), Grant(OTHER, "WRITE_ACP"))
    )


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (document(owner=None), "MalformedACLError"),
        (document(owner=OTHER), "AccessDenied"),
        (document(owner=""), "AccessDenied"),
        (AccessControlPolicy(owner=Owner(id=ME)), "MalformedACLError"),
        (document(({"type": "CanonicalUser", "id": OTHER}, "EVERYTHING")), "MalformedACLError"),
        (document(({"type": "CanonicalUser", "id": OTHER}, "read")), "MalformedACLError"),
        (document(({"type": "CanonicalUser"}, "READ")), "MalformedACLError"),
        (document(({"type": "Robot", "id": OTHER}, "READ")), "MalformedACLError"),
        (document(({"id": OTHER}, "READ")), "MalformedACLError"),
        (document(({"type": "Group", "id": OTHER}, "READ")), "MalformedACLError"),
        (document(({"type": "CanonicalUser", "id": "unknown"}, "READ")), "InvalidArgument"),
        (document(({"type": "CanonicalUser", "id": ALL_USERS}, "READ")), "InvalidArgument"),
        (document(({"type": "Group", "uri": "http://example.com/"}, "READ")), "InvalidArgument"),
        (
            document(({"type": "AmazonCustomerByEmail", "email_address": "x@example.com"}, "READ")),
            "UnresolvableGrantByEmailAddress",
        ),
        (
            AccessControlPolicy(owner=Owner(id=ME), access_control_list=(GrantElement(permission="READ"),)),
            "MalformedACLError",
        ),
    ],
)
def test_a_document_that_grants_nothing_to_anybody_known_is_refused(
    accounts: Any, bad: AccessControlPolicy, code: str
) -> None:
    assert code_of(acl.from_document, bad, accounts, ME) == code


GRANTS = st.builds(
    Grant,
    st.sampled_from([ME, OTHER, "the third", ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY]),
    st.sampled_from(acl.PERMISSIONS),
)


@given(st.lists(GRANTS, unique=True, max_size=20))
def test_an_acl_is_read_back_from_its_document(accounts: Any, grants: list[Grant]) -> None:
    """S3-CHECKLIST 57"""
    whole = Acl(ME, tuple(grants))
    sent = write(acl.to_document(whole, accounts))
    assert acl.from_document(read(AccessControlPolicy, sent), accounts, ME) == whole
    assert b"<DisplayName>first</DisplayName>" in sent


@given(st.lists(GRANTS, max_size=20))
def test_an_acl_is_read_back_from_its_row(grants: list[Grant]) -> None:
    whole = Acl(ME, tuple(grants))
    assert acl.decode(acl.encode(whole)) == whole


def test_an_acl_of_another_version_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="version 2"):
        acl.decode(b'[2,"o",[]]')


def test_an_account_that_is_gone_is_still_named(accounts: Any) -> None:
    found = acl.to_document(Acl("gone", (Grant("gone too", "READ"),)), accounts)
    assert (found.owner.id, found.owner.display_name) == ("gone", None)
    assert found.access_control_list[0].grantee.id == "gone too"


# --- without ACLs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "private", "bucket-owner-full-control"])
def test_without_acls_what_changes_nothing_is_accepted(ask: Any, name: str | None) -> None:
    headers = {} if name is None else {"x-amz-acl": name}
    assert object_acl(ask, headers, acls="disabled") == acl.private(ME)


@pytest.mark.parametrize("headers", [{"x-amz-acl": "public-read"}, {"x-amz-grant-read": f"id={OTHER}"}])
def test_without_acls_whatever_grants_is_refused(ask: Any, headers: dict[str, str]) -> None:
    assert code_of(object_acl, ask, headers, acls="disabled") == "AccessControlListNotSupported"
    assert code_of(bucket_acl, ask, headers, acls="disabled") == "InvalidBucketAclWithObjectOwnership"
