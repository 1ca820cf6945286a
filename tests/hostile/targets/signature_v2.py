"""Signature Version 2, where it is allowed: in headers, in queries and in forms.

The input is a head whose headers are the fields of a form too.
"""

from __future__ import annotations

from contextlib import suppress

from bleepstore.auth.sigv2 import SignatureV2
from bleepstore.errors import S3Error
from exchanges import ACCOUNTS, exchange, head, run

WORDS = (
    *(
        b"Authorization: AWS ",
        b"AKIAIOSFODNN7EXAMPLE",
        b"AWSAccessKeyId=",
        b"&Signature=",
        b"&Expires=1800000000",
    ),
    *(
        b"date: Fri, 02 Jan 2026 03:04:05 +0000",
        b"-0000",
        b"x-amz-date: ",
        b"content-md5: ",
        b"?acl",
        b"&%61cl",
        b"policy: ",
    ),
)
authenticator = SignatureV2(ACCOUNTS, headers=True)


def check(data: bytes) -> None:
    """Check one head."""
    method, target, fields = head(data.decode("latin-1"))
    form = {name: value.encode("latin-1").decode(errors="ignore") for name, value in fields}
    with suppress(S3Error):
        assert run(authenticator.authenticate_form(exchange(method, "/b", []), form)) is None
    found = run(authenticator.authenticate(exchange(method, target, fields)))
    assert found is None or found.identity.anonymous, "nobody signed this"
