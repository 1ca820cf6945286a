"""The policy of a POST form: what its signer allows the form to say.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
Every field of the form must be covered by a condition, but the signature, the policy, the file, and
fields that begin with ``x-ignore-``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bleepstore.auth.strict_json import read_json
from bleepstore.errors import S3Error

UNCOVERED = frozenset({"x-amz-signature", "policy", "file", "awsaccesskeyid", "signature"})
"""Fields that need no condition."""
IGNORED = "x-ignore-"
LISTS = frozenset({"content-type"})
"""Fields whose comma-separated values are compared one by one with ``starts-with``."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition about one field."""

    prefix: bool
    """``starts-with``, not ``eq``."""
    field: str
    """Lower-case name."""
    value: str
    said: str
    """As the policy has it, for the error."""

    def holds(self, found: str) -> bool:
        """Whether a field's value is as the condition wants it."""
        if not self.prefix:
            return found == self.value
        if self.field in LISTS and "," in found:
            return all(item.strip().startswith(self.value) for item in found.split(","))
        return found.startswith(self.value)


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A policy that was read."""

    expiration: int
    """Milliseconds since 1970."""
    conditions: tuple[Condition, ...]
    length: tuple[int, int] | None
    """Bytes of the file, at least and at most."""

    def check(self, fields: Mapping[str, str], bucket: str, now: int) -> None:
        """Raise S3Error AccessDenied unless the form is as the policy says.

        ``fields`` by lower-case name, with ``${filename}`` replaced.
        """
        if now > self.expiration:
            raise _denied("Policy expired.")
        found = {**fields, "bucket": bucket}
        for condition in self.conditions:
            # A field that is not there is not as any condition wants it: S3 refuses even an empty prefix.
            if condition.field not in found or not condition.holds(found[condition.field]):
                raise _denied(f"Policy Condition failed: {condition.said[:512]}")
        covered = {condition.field for condition in self.conditions}
        extra = sorted(
            name
            for name in fields
            if name not in covered and name not in UNCOVERED and not name.startswith(IGNORED)
        )
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)[:512]}")


def read_policy(encoded: str) -> PostPolicy:
    """The policy of a form's ``policy`` field. Raises S3Error InvalidPolicyDocument."""
    try:
        document = read_json(base64.b64decode("".join(encoded.split()), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("Policy missing conditions.")
    if document.keys() - {"expiration", "conditions"}:
        raise _invalid("Unexpected: 'expiration' and 'conditions' are all that a policy has.")
    read, length = [], None
    for condition in conditions:
        if isinstance(condition, list) and condition and _word(condition[0]) == "content-length-range":
            least, most = _length(condition)
            length = (max(least, length[0]), min(most, length[1])) if length else (least, most)
        else:
            read += _conditions(condition)
    return PostPolicy(_expiration(document.get("expiration")), tuple(read), length)


def _conditions(condition: Any) -> list[Condition]:
    if isinstance(condition, dict) and condition:
        return [
            Condition(False, str(name).lower(), _value(value), json.dumps(["eq", f"${name}", value]))
            for name, value in condition.items()
        ]
    if isinstance(condition, list) and len(condition) == 3:
        kind, name, value = condition
        if _word(kind) in ("eq", "starts-with") and isinstance(name, str) and name[:1] == "$":
            said = json.dumps(condition)
            return [Condition(_word(kind) == "starts-with", name[1:].lower(), _value(value), said)]
    raise _invalid(f"Invalid Condition: {json.dumps(condition)[:256]}")


def _word(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid("Invalid Condition: a value must be a string.")
    return str(value)


def _length(condition: list[Any]) -> tuple[int, int]:
    try:
        least, most = (int(_value(bound)) for bound in condition[1:])
    except ValueError:
        raise _invalid("Invalid content-length-range.") from None
    if not 0 <= least <= most:
        raise _invalid("Invalid content-length-range.")
    return least, most


def _expiration(text: Any) -> int:
    if not isinstance(text, str):
        raise _invalid("Policy missing expiration.")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{text[:64]}'") from None
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _invalid(message: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {message}")


def _denied(message: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {message}")
