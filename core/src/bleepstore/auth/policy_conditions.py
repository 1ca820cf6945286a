"""The conditions of a bucket policy: operators, keys, and how they are decided about a request.

Authority: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
and https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
What is not known here is refused when the policy is put: a condition that is ignored would allow
what it was written to prevent.
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

from bleepstore.exchange import Access
from bleepstore.http.dates import iso_time


class Unknown(ValueError):
    """What is wrong with a condition: one sentence."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator about one key."""

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
        wanted = tuple(convert(_text(value)) for value in listed)
    except ValueError:
        raise Unknown(f"Invalid value of the condition key {key[:128]} for {operator}") from None
    return Condition(compare, negated, negated or optional, key, wanted)


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
        return ipaddress.ip_address(found.partition("%")[0]) in wanted
    except ValueError:
        return False


def _network(text: str) -> Any:
    return ipaddress.ip_network(text, strict=False)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _number(text: str) -> float:
    if len(text) > 32:
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


def _header(name: str) -> Callable[[Access, str], str | None]:
    return lambda access, _: access.exchange.headers.get(name)


def _query(name: str) -> Callable[[Access, str], str | None]:
    return lambda access, _: access.exchange.query.get(name)


def _auth_type(access: Access, _: str) -> str | None:
    if access.identity.anonymous:
        return None
    headers = access.exchange.headers
    if "authorization" in headers:
        return "REST-HEADER"
    return "POST" if access.exchange.operation.name == "PostObject" else "REST-QUERY-STRING"


def _existing_tag(access: Access, name: str) -> str | None:
    tags = access.object.tags if access.object is not None else None
    return dict(parse_qsl(tags.decode(), keep_blank_values=True)).get(name) if tags else None


def _asked_tag(access: Access, name: str) -> str | None:
    header = access.exchange.headers.get("x-amz-tagging", "")
    return dict(parse_qsl(header, keep_blank_values=True)).get(name)


def _user(access: Access, _: str) -> str | None:
    account = access.identity.account
    return account.id if account is not None else None


_KEYS: dict[str, Callable[[Access, str], str | None]] = {
    "aws:sourceip": lambda access, _: access.exchange.client or None,
    "aws:securetransport": lambda access, _: "true" if access.exchange.scheme == "https" else "false",
    "aws:referer": _header("referer"),
    "aws:useragent": _header("user-agent"),
    "aws:currenttime": lambda access, _: iso_time(access.exchange.now),
    "aws:epochtime": lambda access, _: str(access.exchange.now // 1000),
    "aws:userid": _user,
    "aws:username": lambda access, _: access.identity.access_key or None,
    "aws:principaltype": lambda access, _: "Anonymous" if access.identity.anonymous else "Account",
    "s3:authtype": _auth_type,
    "s3:signatureversion": lambda access, _: None if access.identity.anonymous else "AWS4-HMAC-SHA256",
    "s3:prefix": _query("prefix"),
    "s3:delimiter": _query("delimiter"),
    "s3:max-keys": _query("max-keys"),
    "s3:versionid": _query("versionId"),
    "s3:if-match": _header("if-match"),
    "s3:if-none-match": _header("if-none-match"),
    "s3:existingobjecttag": _existing_tag,
    "s3:requestobjecttag": _asked_tag,
    **{
        f"s3:{name}": _header(name)
        for name in (
            "x-amz-acl",
            "x-amz-content-sha256",
            "x-amz-copy-source",
            "x-amz-grant-full-control",
            "x-amz-grant-read",
            "x-amz-grant-read-acp",
            "x-amz-grant-write",
            "x-amz-grant-write-acp",
            "x-amz-metadata-directive",
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-storage-class",
            "x-amz-website-redirect-location",
        )
    },
}
_TAG_KEYS = frozenset({"s3:existingobjecttag", "s3:requestobjecttag"})
"""Keys that are followed by a slash and the name of a tag."""


def value_of(key: str, access: Access) -> str | None:
    """The value of a condition key in a request, ``None`` where it has none."""
    prefix, _, tag = key.partition("/")
    return _KEYS[prefix](access, tag)
