"""Bucket policies: what is taken is understood, and decides about any request in little time.

The input is the document, or a line with the key of an object and then the document.
"""

from __future__ import annotations

from types import SimpleNamespace

from bleepstore.auth.policy import check as check_policy
from bleepstore.auth.policy import compile_policy
from bleepstore.exchange import ANONYMOUS, Access, Decision, Identity
from bleepstore.operations import AclRight, Permission, Scope
from exchanges import ACCOUNTS, exchange

WORDS = (
    *(
        b'{"Version":"2012-10-17","Statement":[',
        b'"Effect":"Allow"',
        b'"Effect":"Deny"',
        b'"Principal":"*"',
        b'{"AWS":"*"}',
    ),
    *(
        b'"Action":"s3:GetObject"',
        b'"Resource":"arn:aws:s3:::b/*"',
        b'"NotAction":',
        b'"NotPrincipal":',
        b'"NotResource":',
    ),
    *(
        b'"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}',
        b'"StringLike":',
        b'"StringEqualsIfExists":',
        b'"Null":',
    ),
    *(
        b'"NumericLessThan":',
        b'"DateGreaterThan":',
        b'"Bool":',
        b'"s3:prefix"',
        b'"s3:x-amz-acl"',
        b'"s3:ExistingObjectTag/a"',
    ),
    *(
        b'"aws:CurrentTime"',
        b'"2026-01-01T00:00:00Z"',
        b'"aws:EpochTime"',
        b'"s3:max-keys"',
        b'"*a*b*c*"',
        b'"?"',
        b"${",
        b"[" * 50,
    ),
    *(
        b'"s3:x-amz-copy-source"',
        b'"aws:SecureTransport"',
        b'"arn:aws:iam::1:user/AKIAIOSFODNN7EXAMPLE"',
        b'"Sid":"a"',
        b"{",
        b"}",
    ),
)
ACTIONS = (
    Permission(action="s3:GetObject", right=AclRight.READ, on=Scope.OBJECT),
    Permission(action="s3:PutObject", right=AclRight.WRITE, on=Scope.BUCKET),
    Permission(action="s3:ListBucket", right=AclRight.READ, on=Scope.BUCKET),
)
FIRST = Identity(account=ACCOUNTS.first, access_key="AKIAIOSFODNN7EXAMPLE")


def check(data: bytes) -> None:
    """Check one document."""
    key, document = "a/b", data
    if data[:1] != b"{" and b"\n" in data:
        first, _, document = data.partition(b"\n")
        key = first.decode(errors="ignore") or key
    check_policy(document, "b", ACCOUNTS)
    policy = compile_policy(document, "b", ACCOUNTS)
    assert policy.public in (True, False)
    for permission in ACTIONS:
        for identity in (FIRST, ANONYMOUS):
            access = Access(
                identity=identity,
                permission=permission,
                bucket=SimpleNamespace(name="b"),  # type: ignore[arg-type]
                object=SimpleNamespace(tags=b"a=b"),  # type: ignore[arg-type]
                key=key if permission.on is Scope.OBJECT else None,
                exchange=_request(identity),
            )
            verdict = policy.decide(access, [permission.action])
            if not any(statement.allow for statement in policy.statements):
                assert verdict is not Decision.ALLOW


def _request(identity: Identity) -> object:
    fields = [
        *(
            ("host", "h"),
            ("x-amz-acl", "private"),
            ("if-match", '"a"'),
            ("referer", "http://a"),
            ("user-agent", "a"),
        ),
        *(("x-amz-copy-source", "a%2Fb"), ("x-amz-tagging", "a=b&\xe9")),
    ]
    x = exchange(
        "GET", "/b?prefix=a&delimiter=/&max-keys=9999999999999999999999999999999999", fields, "ListObjects"
    )
    x.authentication = SimpleNamespace(identity=identity, payload="")  # type: ignore[assignment]
    return x
