"""Bucket policies: documents in IAM's language, about one bucket, and their verdict on a request.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html
A document is kept as it was put, and whatever is not understood is refused then.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bleepstore.auth.actions import ACTIONS, OBJECT_ACTIONS
from bleepstore.auth.policy_conditions import Condition, Unknown, read_conditions, wildcard
from bleepstore.auth.strict_json import read_json
from bleepstore.errors import S3Error
from bleepstore.exchange import Access, Accounts, Decision

DOCUMENT = "policy"
"""Name of a bucket's policy document."""
DOCUMENT_BYTES = 20 * 1024
VERSIONS = ("2008-10-17", "2012-10-17")
ARN = "arn:aws:s3:::"
ANYBODY = "*"
_STATEMENT = frozenset(
    {"Sid", "Effect", "Condition"}
    | {"Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"}
)
_USER = re.compile(r"arn:aws:iam::([^:]*):(?:(root)|user/(.+))")
_WIDEST = {4: 8, 6: 32}
"""Prefixes of networks; what is wider, and not private, is everybody."""
_PRIVATE = ipaddress.IPv6Network("fc00::/7")
_TAGGING = ("s3:putobjecttagging", "s3:putobjectversiontagging")


@dataclass(frozen=True, slots=True)
class Among:
    """What an element names, or (``NotAction``...) all but that."""

    patterns: tuple[re.Pattern[str], ...]
    negated: bool = False

    def has(self, text: str) -> bool:
        """Whether it is among them."""
        return any(pattern.fullmatch(text) for pattern in self.patterns) is not self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement."""

    allow: bool
    principals: frozenset[str]
    """Canonical ids, or :data:`ANYBODY`."""
    others: bool
    """``NotPrincipal``: everybody but these."""
    actions: Among
    resources: Among
    conditions: tuple[Condition, ...]

    def applies(self, access: Access, action: str, resource: str) -> bool:
        """Whether the statement is about this request."""
        account = access.identity.account
        named = ANYBODY in self.principals or (account is not None and account.id in self.principals)
        return (
            named is not self.others
            and self.actions.has(action)
            and self.resources.has(resource)
            and all(condition.holds(access) for condition in self.conditions)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy."""

    statements: tuple[Statement, ...]

    def decide(self, access: Access, needed: Iterable[str], related: Iterable[str] = ()) -> Decision:
        """The verdict on a request that takes all of ``needed``: each must be allowed.

        A deny of any of them holds, and so does one of the ``related`` actions.
        """
        assert access.bucket is not None
        resource = ARN + access.bucket.name + ("" if access.key is None else f"/{access.key}")
        verdict = Decision.ALLOW
        for action in needed:
            found = {s.allow for s in self.statements if s.applies(access, action.lower(), resource)}
            if False in found:
                return Decision.DENY
            if not found:
                verdict = Decision.ABSTAIN
        for action in related:
            if any(not s.allow and s.applies(access, action.lower(), resource) for s in self.statements):
                return Decision.DENY
        return verdict

    @property
    def public(self) -> bool:
        """Whether it allows something to everybody, as GetBucketPolicyStatus reports.

        Authority: "The meaning of public" in
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
        """
        return any(
            statement.allow
            and ANYBODY in statement.principals
            and not any(_narrows(condition) for condition in statement.conditions)
            for statement in self.statements
        )


def _narrows(condition: Condition) -> bool:
    """Whether a condition makes a statement about everybody one about somebody."""
    if condition.absent:
        return False
    if condition.key == "aws:sourceip":
        return condition.operator == "IpAddress" and not any(map(_wide, condition.values))
    return condition.key in ("aws:userid", "aws:username") and condition.operator == "StringEquals"


def _wide(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    private = isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_PRIVATE)
    return network.prefixlen < _WIDEST[network.version] and not private


def check(document: bytes, bucket: str, accounts: Accounts) -> None:
    """Raise S3Error MalformedPolicy for a document that is not wholly understood."""
    if len(document) > DOCUMENT_BYTES:
        raise _malformed("Policies must not be larger than 20 KB")
    _read(document, bucket, accounts, strict=True)


def compile_policy(document: bytes, bucket: str, accounts: Accounts) -> Policy:
    """A stored policy. A principal that is no account any more is nobody."""
    return _read(document, bucket, accounts, strict=False)


def _read(document: bytes, bucket: str, accounts: Accounts, *, strict: bool) -> Policy:
    try:
        root = read_json(document)
    except (ValueError, RecursionError):
        root = None
    if not isinstance(root, dict) or document[:1] != b"{":
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if root.get("Version", VERSIONS[0]) not in VERSIONS:
        raise _malformed("The policy must contain a valid version string")
    unknown = root.keys() - {"Version", "Id", "Statement"}
    if unknown:
        raise _malformed(f"Unknown field {min(unknown)[:128]}")
    statements = root.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise _malformed("Missing required field Statement")
    read = tuple(_statement(item, bucket, accounts, strict=strict) for item in statements)
    names = [item["Sid"] for item in statements if "Sid" in item]
    if len(set(names)) < len(names):
        raise _malformed("Statement IDs (SID) in a single policy must be unique.")
    return Policy(read)


def _statement(item: Any, bucket: str, accounts: Accounts, *, strict: bool) -> Statement:
    if not isinstance(item, dict):
        raise _malformed("Statement must be a list of objects")
    unknown = item.keys() - _STATEMENT
    if unknown:
        raise _malformed(f"Unknown field {min(unknown)[:128]}")
    if item.get("Effect") not in ("Allow", "Deny"):
        raise _malformed(f"Invalid effect: {str(item.get('Effect'))[:128]}")
    if not isinstance(item.get("Sid", ""), str):
        raise _malformed("Statement IDs (SID) must be strings")
    principal, others = _one_of(item, "Principal")
    action, not_action = _one_of(item, "Action")
    resource, not_resource = _one_of(item, "Resource")
    allow = item["Effect"] == "Allow"
    if allow and others:
        # As IAM advises: it would allow everybody, those who did not sign too.
        raise _malformed("Allow with NotPrincipal is not supported")
    try:
        conditions = read_conditions(item.get("Condition", {}))
    except Unknown as unknown_condition:
        raise _malformed(str(unknown_condition)) from None
    actions = Among(tuple(_action(text) for text in _texts(action, "Action")), not_action)
    named = _texts(resource, "Resource")
    resources = Among(tuple(_resource(text, bucket) for text in named), not_resource)
    if not (not_action or not_resource or _meet(actions, resources, named, bucket)):
        raise _malformed("Action does not apply to any resource(s) in statement")
    if any(c.key.startswith("s3:requestobjecttag/") for c in conditions) and any(map(actions.has, _TAGGING)):
        # Its tags come in the body, after the decision.
        raise _malformed("s3:RequestObjectTag is not supported for s3:PutObjectTagging")
    return Statement(
        allow=allow,
        principals=frozenset(_principals(principal, accounts, strict=strict)),
        others=others,
        actions=actions,
        resources=resources,
        conditions=conditions,
    )


def _meet(actions: Among, resources: Among, named: list[str], bucket: str) -> bool:
    """Whether any of the actions is about any of the resources: the bucket, or keys in it."""
    keys = any("/" in text or "*" in text for text in named)
    return (keys and any(map(actions.has, OBJECT_ACTIONS))) or (
        resources.has(ARN + bucket) and any(map(actions.has, ACTIONS - OBJECT_ACTIONS))
    )


def _one_of(item: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    """The value of ``Action`` or of ``NotAction``, and whether it is the second."""
    if (name in item) == (f"Not{name}" in item):
        raise _malformed(f"Missing required field {name}")
    return (item[name], False) if name in item else (item[f"Not{name}"], True)


def _texts(value: Any, name: str) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(text, str) and "${" not in text for text in listed):
        raise _malformed(f"Policy has invalid {name.lower()}")
    return listed


def _principals(value: Any, accounts: Accounts, *, strict: bool) -> Iterable[str]:
    if value == ANYBODY:
        yield ANYBODY
        return
    if not isinstance(value, dict) or not value or value.keys() - {"AWS", "CanonicalUser"}:
        raise _malformed("Invalid principal in policy")
    for kind, names in value.items():
        for name in _texts(names, "Principal"):
            found = ANYBODY if name == ANYBODY and kind == "AWS" else _account(name, accounts)
            if found is not None:
                yield found
            elif strict:
                raise _malformed("Invalid principal in policy", f'"{kind}" : "{name[:256]}"')


def _account(name: str, accounts: Accounts) -> str | None:
    """The canonical id that a name means: an id, or an ARN with an id or with a user's access key."""
    account = accounts.by_id(name)
    match = _USER.fullmatch(name)
    if account is None and match is not None:
        if match[2]:
            account = accounts.by_id(match[1])
        else:
            pair = accounts.credentials(match[3])
            account = pair[0] if pair is not None else None
    return account.id if account is not None else None


def _action(text: str) -> re.Pattern[str]:
    pattern = wildcard(text.lower())
    if text != "*" and not any(pattern.fullmatch(action) for action in ACTIONS):
        raise _malformed("Policy has invalid action")
    return pattern


def _resource(text: str, bucket: str) -> re.Pattern[str]:
    name, slash, _ = text.removeprefix(ARN).partition("/")
    if not text.startswith(ARN) or not wildcard(name).fullmatch(bucket):
        if slash or "*" not in name or not text.startswith(ARN):
            raise _malformed("Policy has invalid resource")
        # Without a slash the wildcard may reach into the keys: BUCKET*
        if not wildcard(name).fullmatch(f"{bucket}/"):
            raise _malformed("Policy has invalid resource")
    return wildcard(text)


def _malformed(message: str, detail: str | None = None) -> S3Error:
    if detail is None:
        return S3Error("MalformedPolicy", message)
    return S3Error("MalformedPolicy", message, Detail=detail)
