"""The conditions of a bucket policy: operators, keys, and how they are decided about a request.

Authority: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
and https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
What is not known here is refused when the policy is put: a condition that is ignored would allow
what it was written to prevent. A key is in a request only where AWS lists it for the action: what else
a request brings along under that name was asked of nobody, so anybody could add it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl

from bleepstore.errors import S3Error
from bleepstore.exchange import Access
from bleepstore.http.copy_source import parse_copy_source
from bleepstore.http.dates import iso_time


class Unknown(ValueError):
    """What is wrong with a condition: one sentence."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator about one key."""

    operator: str
    """Its name, without ``IfExists``."""
    compare: Callable[[str, Any], bool]
    """Whether the request's value and one of the policy's agree."""
    negated: bool
    absent: bool
    """The result where the request has no such key."""
    key: str
    """Lower-case, but for the name of a tag after its slash."""
    values: tuple[Any, ...]
    """The policy's values, read as the operator needs them."""

    def holds(self, access: Access) -> bool:
        """Decide about a request."""
        found = value_of(self.key, access)
        if self.compare is _is_null:
            return any(wanted == (found is None) for wanted in self.values)
        if found is None:
            return self.absent
        return any(self.compare(found, wanted) for wanted in self.values) is not self.negated


def read_conditions(block: Any) -> tuple[Condition, ...]:
    """The conditions of a statement. Raises :class:`Unknown`."""
    if not isinstance(block, Mapping):
        raise Unknown("Conditions must be an object")
    found = []
    for name, about in block.items():
        if not isinstance(about, Mapping) or not about:
            raise Unknown(f"The condition {name} must name keys")
        for key, values in about.items():
            found.append(_read(str(name), str(key), values))
    return tuple(found)


def _read(name: str, key: str, values: Any) -> Condition:
    operator, optional = name, False
    if name.endswith("IfExists"):
        operator, optional = name.removesuffix("IfExists"), True
    known = _OPERATORS.get(operator)
    if known is None or (optional and operator == "Null"):
        raise Unknown(f"Unknown condition type: {name[:128]}")
    prefix, slash, tag = key.partition("/")
    key = prefix.lower() + slash + tag
    if prefix.lower() not in _KEYS or bool(slash) != (prefix.lower() in _TAG_KEYS):
        raise Unknown(f"Unknown condition key: {key[:128]}")
    listed = values if isinstance(values, list) else [values]
    if not listed:
        raise Unknown(f"The condition key {key[:128]} has no value")
    compare, convert, negated = known
    try:
        texts = [_text(value) for value in listed]
        if key == _COPY_SOURCE:
            texts = [text.removeprefix("/") for text in texts]
        wanted = tuple(convert(text) for text in texts)
    except ValueError:
        raise Unknown(f"Invalid value of the condition key {key[:128]} for {operator}") from None
    return Condition(operator, compare, negated, negated or optional, key, wanted)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        text = str(value)
        if "${" in text:
            raise ValueError(text)  # policy variables are not built
        return text
    raise ValueError(value)


# --- operators ------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def wildcard(pattern: str) -> re.Pattern[str]:
    """``*`` for any characters, ``?`` for one.

    What lies between two ``*`` is sought once, at its first place (an atomic group), so that no
    pattern takes more than linear time for each of its pieces.
    """
    first, *pieces = [re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*")]
    if not pieces:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[:-1] if piece)
    return re.compile(f"{first}{middle}.*{pieces[-1]}", re.DOTALL)


def _like(found: str, wanted: re.Pattern[str]) -> bool:
    return wanted.fullmatch(found) is not None


def _equal(found: str, wanted: str) -> bool:
    return found == wanted


def _equal_ignoring_case(found: str, wanted: str) -> bool:
    return found.lower() == wanted


def _ordered(convert: Callable[[str], float], allowed: Sequence[int], found: str, wanted: float) -> bool:
    try:
        value = convert(found)
    except ValueError:
        return False
    return (value > wanted) - (value < wanted) in allowed


def _is_null(found: str, wanted: bool) -> bool:
    raise AssertionError("decided by Condition.holds")


def _in_network(found: str, wanted: Any) -> bool:
    try:
        address = ipaddress.ip_address(found.partition("%")[0])
    except ValueError:
        return False
    # What a socket of both families says of a client by IPv4.
    return (getattr(address, "ipv4_mapped", None) or address) in wanted


def _network(text: str) -> Any:
    return ipaddress.ip_network(text, strict=False)


_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _number(text: str) -> float:
    if len(text) > 32 or not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _date(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time, or of that number itself."""
    if text.isascii() and text.isdecimal() and len(text) <= 12:
        return float(text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


_ORDERS = {
    "Equals": (0,),
    "NotEquals": (0,),
    "LessThan": (-1,),
    "LessThanEquals": (-1, 0),
    "GreaterThan": (1,),
    "GreaterThanEquals": (0, 1),
}
_Operator = tuple[Callable[[str, Any], bool], Callable[[str], Any], bool]
_OPERATORS: dict[str, _Operator] = {
    "StringEquals": (_equal, str, False),
    "StringNotEquals": (_equal, str, True),
    "StringEqualsIgnoreCase": (_equal_ignoring_case, str.lower, False),
    "StringNotEqualsIgnoreCase": (_equal_ignoring_case, str.lower, True),
    "StringLike": (_like, wildcard, False),
    "StringNotLike": (_like, wildcard, True),
    "Bool": (lambda found, wanted: (found.lower() == "true") is wanted, _boolean, False),
    "IpAddress": (_in_network, _network, False),
    "NotIpAddress": (_in_network, _network, True),
    "Null": (_is_null, _boolean, False),
    **{
        f"{kind}{order}": (partial(_ordered, convert, signs), convert, order == "NotEquals")
        for kind, convert in (("Numeric", _number), ("Date", _date))
        for order, signs in _ORDERS.items()
    },
}

# --- keys -----------------------------------------------------------------------------------------

_Read = Callable[[Access, str], str | None]
_ANY: frozenset[str] = frozenset()
_PUT = frozenset({"s3:PutObject"})
_PUT_ACL = _PUT | {"s3:PutObjectAcl", "s3:PutBucketAcl"}
_LISTINGS = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"})
_WHOLE = frozenset({"PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload"})
_COPY_SOURCE = "s3:x-amz-copy-source"


def _header(name: str) -> _Read:
    return lambda access, _: access.exchange.headers.get(name)


def _listed(name: str) -> _Read:
    def read(access: Access, _: str) -> str | None:
        x = access.exchange
        return x.query.get(name) if x.operation.name in _LISTINGS else None

    return read


def _auth_type(access: Access, _: str) -> str | None:
    if access.identity.anonymous:
        return None
    x = access.exchange
    if x.operation.name == "PostObject":
        return "POST"
    return "REST-HEADER" if "authorization" in x.headers else "REST-QUERY-STRING"


def _payload(access: Access, _: str) -> str | None:
    x = access.exchange
    return x.authentication.payload or x.headers.get("x-amz-content-sha256")


def _creates(access: Access, _: str) -> str:
    return "true" if access.exchange.operation.name in _WHOLE else "false"


def _copy_source(access: Access, _: str) -> str | None:
    """``BUCKET/KEY``, however the header is encoded."""
    header = access.exchange.headers.get("x-amz-copy-source")
    if header is None:
        return None
    try:
        source = parse_copy_source(header)
    except S3Error:
        return header  # and no source of a copy
    return f"{source.bucket}/{source.key}"


def _existing_tag(access: Access, name: str) -> str | None:
    tags = access.object.tags if access.object is not None else None
    return dict(parse_qsl(tags.decode(), keep_blank_values=True)).get(name) if tags else None


def _asked_tag(access: Access, name: str) -> str | None:
    headers = access.exchange.headers
    if "x-amz-copy-source" in headers and headers.get("x-amz-tagging-directive") != "REPLACE":
        return None  # its tags are the source's, whatever the header says
    asked = headers.get("x-amz-tagging", "").encode("latin-1").decode(errors="replace")
    return dict(parse_qsl(asked, keep_blank_values=True)).get(name)


def _user(access: Access, _: str) -> str | None:
    account = access.identity.account
    return account.id if account is not None else None


_KEYS: dict[str, tuple[_Read, frozenset[str]]] = {
    "aws:sourceip": (lambda access, _: access.exchange.client or None, _ANY),
    "aws:securetransport": (
        lambda access, _: "true" if access.exchange.scheme == "https" else "false",
        _ANY,
    ),
    "aws:referer": (_header("referer"), _ANY),
    "aws:useragent": (_header("user-agent"), _ANY),
    "aws:currenttime": (lambda access, _: iso_time(access.exchange.now), _ANY),
    "aws:epochtime": (lambda access, _: str(access.exchange.now // 1000), _ANY),
    "aws:userid": (_user, _ANY),
    "aws:username": (lambda access, _: access.identity.access_key or None, _ANY),
    "aws:principaltype": (
        lambda access, _: "Anonymous" if access.identity.anonymous else "Account",
        _ANY,
    ),
    "s3:authtype": (_auth_type, _ANY),
    "s3:signatureversion": (lambda access, _: access.identity.signature or None, _ANY),
    "s3:x-amz-content-sha256": (_payload, _ANY),
    "s3:prefix": (_listed("prefix"), _ANY),
    "s3:delimiter": (_listed("delimiter"), _ANY),
    "s3:max-keys": (_listed("max-keys"), _ANY),
    "s3:versionid": (lambda access, _: access.version, _ANY),
    "s3:existingobjecttag": (_existing_tag, _ANY),
    "s3:requestobjecttag": (_asked_tag, _PUT),
    "s3:objectcreationoperation": (_creates, _PUT),
    "s3:if-match": (_header("if-match"), _PUT | {"s3:DeleteObject"}),
    "s3:if-none-match": (_header("if-none-match"), _PUT),
    _COPY_SOURCE: (_copy_source, _PUT),
    **{
        f"s3:{name}": (_header(name), _PUT_ACL)
        for name in (
            "x-amz-acl",
            "x-amz-grant-full-control",
            "x-amz-grant-read",
            "x-amz-grant-read-acp",
            "x-amz-grant-write",
            "x-amz-grant-write-acp",
        )
    },
    **{
        f"s3:{name}": (_header(name), _PUT)
        for name in (
            "x-amz-metadata-directive",
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-storage-class",
            "x-amz-website-redirect-location",
        )
    },
}
"""How to read a key, and the actions that have it (none named: all)."""
_TAG_KEYS = frozenset({"s3:existingobjecttag", "s3:requestobjecttag"})
"""Keys that are followed by a slash and the name of a tag."""


def value_of(key: str, access: Access) -> str | None:
    """The value of a condition key in a request, ``None`` where it has none."""
    prefix, _, tag = key.partition("/")
    read, actions = _KEYS[prefix]
    if actions and access.permission.action not in actions:
        return None
    return read(access, tag)
