"""Signature Version 4 in the Authorization header: nobody gets in by what is not signed as described.

The input is a head. As it is, it has no valid signature. Signed by the tests' own signer it is let in, and
not if a byte of it is changed after that.
"""

from __future__ import annotations

import datetime

from bleepstore.auth.sigv4 import SignatureV4
from bleepstore.errors import S3Error
from exchanges import ACCOUNTS, KEYS, NOW, exchange, head, run
from sigv4_by_hand import UNSIGNED, Signer

WORDS = (
    *(
        b"Authorization: AWS4-HMAC-SHA256 ",
        b"Credential=",
        b"SignedHeaders=",
        b"Signature=",
        b"host;x-amz-date",
    ),
    *(
        b"/20260102/us-east-1/s3/aws4_request",
        b"x-amz-date: ",
        b"20260102T030405Z",
        b"x-amz-content-sha256: ",
    ),
    *(b"UNSIGNED-PAYLOAD", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"X-Amz-Signature=", b"AWS ", b"Bearer "),
    *(b"date: Fri, 02 Jan 2026 03:04:05 GMT", b"x-amz-meta-a: ", b"AKIAIOSFODNN7EXAMPLE", b"AWSAccessKeyId="),
)
AT = datetime.datetime.fromtimestamp(NOW / 1000, datetime.UTC)
OURS = frozenset({"authorization", "x-amz-date", "x-amz-content-sha256", "host", "x-amz-security-token"})
authenticator = SignatureV4(ACCOUNTS, "us-east-1")
signer = Signer(*KEYS)


def check(data: bytes) -> None:
    """Check one head."""
    method, target, fields = head(data.decode("latin-1"))
    try:
        found = run(authenticator.authenticate(exchange(method, target, fields)))
        assert found is None or found.identity.anonymous, "nobody signed this"
    finally:
        _signed(method, target, fields)


def _signed(method: str, target: str, fields: list[tuple[str, str]]) -> None:
    given = {name: value for name, value in fields if name not in OURS}
    given["host"] = "localhost"
    # Text of bytes that are no UTF-8: as the signer takes them.
    raw = {name: value.encode("latin-1").decode("utf-8", "surrogateescape") for name, value in given.items()}
    if any(value.split() != value.split(" ") for value in raw.values()) or "+" in target.partition("?")[2]:
        return  # what the tests' signer reads in another way
    signed = signer.sign(method, target, raw, UNSIGNED, at=AT).headers
    lines = [(n.lower(), v.encode("utf-8", "surrogateescape").decode("latin-1")) for n, v in signed.items()]
    try:
        x = exchange(method, target, lines)
    except S3Error:
        return  # not a request
    if {"X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token"} & x.query.keys():
        return
    assert run(authenticator.authenticate(x)) is not None
    for changed in (
        exchange(method, f"{target}&x=y" if "?" in target else f"{target}?x=y", lines),
        exchange("DELETE" if method != "DELETE" else "GET", target, lines),
        exchange(method, target, [*lines, ("x-amz-acl-", "public-read")]),
        exchange(method, target, [(n, v + "0" if n == "x-amz-date" else v) for n, v in lines]),
    ):
        _refused(changed)


def _refused(x: object) -> None:
    try:
        run(authenticator.authenticate(x))  # type: ignore[arg-type]
    except S3Error:
        return
    raise AssertionError("it was changed after it was signed")
