"""Access control lists: what is kept, what is granted, and their documents.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
An ACL is stored as compact JSON, ``[1, owner, [[grantee, permission], ...]]``, where a grantee is a
canonical id or the URI of a group. E-mail grantees are stored as the account they name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bleepstore.errors import S3Error
from bleepstore.exchange import Account, Accounts, Exchange
from bleepstore.metadata import BucketRecord
from bleepstore.xml import shapes

VERSION = 1
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = frozenset({ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY})
PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
MOST_GRANTS = 100
GRANT_HEADERS = {
    "x-amz-grant-full-control": "FULL_CONTROL",
    "x-amz-grant-read": "READ",
    "x-amz-grant-write": "WRITE",
    "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write-acp": "WRITE_ACP",
}
_ASKING = frozenset({*GRANT_HEADERS, "x-amz-acl"})


@dataclass(frozen=True, slots=True)
class Grant:
    """``grantee``, a canonical id or a group's URI, has ``permission``."""

    grantee: str
    permission: str


@dataclass(frozen=True, slots=True)
class Acl:
    """Who owns a bucket or an object, and who is granted what."""

    owner: str
    grants: tuple[Grant, ...]


def private(owner: str) -> Acl:
    """The default: the owner has full control."""
    return Acl(owner, (Grant(owner, "FULL_CONTROL"),))


def effective(stored: bytes | None, owner: str) -> Acl:
    """The ACL of a row of ``owner``."""
    return private(owner) if stored is None else decode(stored)


def encode(acl: Acl) -> bytes:
    """The stored form."""
    grants = [[grant.grantee, grant.permission] for grant in acl.grants]
    return json.dumps([VERSION, acl.owner, grants], separators=(",", ":")).encode()


def decode(stored: bytes) -> Acl:
    """The inverse of :func:`encode`."""
    version, owner, grants = json.loads(stored)
    if version != VERSION:
        raise ValueError(f"ACL of version {version}")
    return Acl(owner, tuple(Grant(grantee, permission) for grantee, permission in grants))


# --- requests -------------------------------------------------------------------------------------


def asks(x: Exchange) -> bool:
    """Whether the headers of a request ask for an ACL."""
    return not _ASKING.isdisjoint(x.headers)


def bucket_acl_from_headers(x: Exchange, owner: Account) -> bytes | None:
    """The ACL that a request's headers ask for a bucket of ``owner``; ``None`` for the default.

    Raises S3Error InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress,
    InvalidBucketAclWithObjectOwnership.
    """
    if not asks(x):
        return None
    if x.services.settings.auth.acls == "disabled":
        if x.headers.get("x-amz-acl", "private") == "private" and GRANT_HEADERS.keys().isdisjoint(x.headers):
            return None
        raise S3Error("InvalidBucketAclWithObjectOwnership")
    return _from_headers(x, owner.id, lambda canned: _canned_bucket(canned, owner.id))


def object_acl_from_headers(x: Exchange, owner: Account, bucket: BucketRecord) -> bytes | None:
    """The ACL that a request's headers ask for an object of ``owner``; ``None`` for the default.

    Raises S3Error InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress,
    AccessControlListNotSupported.
    """
    if not asks(x):
        return None
    if x.services.settings.auth.acls == "disabled":
        refuse_disabled(x)
        return None
    return _from_headers(x, owner.id, lambda canned: _canned_object(canned, owner.id, bucket.owner))


def refuse_disabled(x: Exchange) -> None:
    """With ACLs disabled only those may be named that change nothing.

    Raises S3Error AccessControlListNotSupported.
    """
    harmless = x.headers.get("x-amz-acl", "private") in ("private", "bucket-owner-full-control")
    if not harmless or not GRANT_HEADERS.keys().isdisjoint(x.headers):
        raise S3Error("AccessControlListNotSupported")


def _from_headers(x: Exchange, owner: str, canned: Callable[[str], Acl]) -> bytes | None:
    name = x.headers.get("x-amz-acl")
    grants = [
        Grant(grantee, permission)
        for header, permission in GRANT_HEADERS.items()
        if header in x.headers
        for grantee in _grantees(header, x.headers[header], x.services.accounts)
    ]
    if name is not None:
        if grants:
            raise S3Error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
        acl = canned(name)
    else:
        acl = Acl(owner, _unique(grants))
    return None if acl == private(owner) else encode(acl)


def _grantees(header: str, value: str, accounts: Accounts) -> Iterable[str]:
    """``id="...", uri="...", emailAddress="..."``."""
    for item in value.split(","):
        kind, _, quoted = item.strip().partition("=")
        name = quoted.strip()
        if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
            name = name[1:-1]
        match kind.strip():
            case "id":
                yield known_id(name, accounts, "id")
            case "uri":
                yield known_group(name)
            case "emailAddress":
                yield known_email(name, accounts)
            case _:
                raise _invalid("Argument format not recognized", header, value[:1024])


def known_id(name: str, accounts: Accounts, argument: str = "CanonicalUser/ID") -> str:
    """A canonical id of an account here. Raises S3Error InvalidArgument."""
    if accounts.by_id(name) is None:
        raise _invalid("Invalid id", argument, name[:1024])
    return name


def known_group(uri: str) -> str:
    """A group. Raises S3Error InvalidArgument."""
    if uri not in GROUPS:
        raise _invalid("Invalid group uri", "uri", uri[:1024])
    return uri


def known_email(address: str, accounts: Accounts) -> str:
    """The canonical id of an address. Raises S3Error UnresolvableGrantByEmailAddress."""
    account = accounts.by_email(address)
    if account is None:
        raise S3Error("UnresolvableGrantByEmailAddress", EmailAddress=address[:1024])
    return account.id


def _unique(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    found = tuple(dict.fromkeys(grants))
    if len(found) > MOST_GRANTS:
        raise S3Error("InvalidRequest", f"An ACL can have at most {MOST_GRANTS} grants.")
    return found


_CANNED = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED_USERS, "READ"),),
    # Its grantee is a service of AWS's that is not here.
    "aws-exec-read": (),
}


def _canned(name: str, owner: str) -> Acl:
    grants = _CANNED.get(name)
    if grants is None:
        raise _invalid("", "x-amz-acl", name[:1024])
    return Acl(owner, (Grant(owner, "FULL_CONTROL"), *(Grant(*grant) for grant in grants)))


def _canned_bucket(name: str, owner: str) -> Acl:
    if name in ("bucket-owner-read", "bucket-owner-full-control"):
        return private(owner)  # ignored for buckets, as the documentation says
    if name == "log-delivery-write":
        extra = (Grant(LOG_DELIVERY, "WRITE"), Grant(LOG_DELIVERY, "READ_ACP"))
        return Acl(owner, (Grant(owner, "FULL_CONTROL"), *extra))
    return _canned(name, owner)


def _canned_object(name: str, owner: str, bucket_owner: str) -> Acl:
    permission = {"bucket-owner-read": "READ", "bucket-owner-full-control": "FULL_CONTROL"}.get(name)
    if permission is None:
        return _canned(name, owner)
    if owner == bucket_owner:
        return private(owner)
    return Acl(owner, _unique((Grant(owner, "FULL_CONTROL"), Grant(bucket_owner, permission))))


def _invalid(message: str, argument: str, value: str) -> S3Error:
    return S3Error("InvalidArgument", message or None, ArgumentName=argument, ArgumentValue=value)


# --- documents ------------------------------------------------------------------------------------


def to_document(acl: Acl, accounts: Accounts) -> shapes.AccessControlPolicy:
    """The document of an ACL, with the names of the accounts."""

    def grantee(name: str) -> shapes.Grantee:
        if name in GROUPS:
            return shapes.Grantee(type="Group", uri=name)
        account = accounts.by_id(name)
        return shapes.Grantee(
            type="CanonicalUser", id=name, display_name=account.display_name if account else None
        )

    owner = accounts.by_id(acl.owner)
    return shapes.AccessControlPolicy(
        owner=shapes.Owner(id=acl.owner, display_name=owner.display_name if owner else None),
        access_control_list=tuple(
            shapes.Grant(grantee=grantee(grant.grantee), permission=grant.permission) for grant in acl.grants
        ),
    )


def from_document(document: shapes.AccessControlPolicy, accounts: Accounts, owner: str) -> Acl:
    """The ACL of a document for something that ``owner`` owns.

    Raises S3Error MalformedACLError, AccessDenied (another owner), InvalidArgument,
    UnresolvableGrantByEmailAddress.
    """
    if document.owner is None or document.access_control_list is None:
        raise S3Error("MalformedACLError")
    if document.owner.id != owner:
        raise S3Error("AccessDenied")
    grants = []
    for grant in document.access_control_list:
        if grant.grantee is None or grant.permission not in PERMISSIONS:
            raise S3Error("MalformedACLError")
        grants.append(Grant(_grantee(grant.grantee, accounts), grant.permission))
    return Acl(owner, _unique(grants))


def _grantee(grantee: shapes.Grantee, accounts: Accounts) -> str:
    match grantee.type:
        case "CanonicalUser" if grantee.id is not None:
            return known_id(grantee.id, accounts)
        case "Group" if grantee.uri is not None:
            return known_group(grantee.uri)
        case "AmazonCustomerByEmail" if grantee.email_address is not None:
            return known_email(grantee.email_address, accounts)
        case _:
            raise S3Error("MalformedACLError")
