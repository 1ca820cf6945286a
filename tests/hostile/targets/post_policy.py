"""The policy of a form as JSON: an error, or conditions that a form is held against."""

from __future__ import annotations

import base64

from bleepstore.auth.post_policy import read_policy
from bleepstore.errors import S3Error
from exchanges import NOW
from harness import check_error

WORDS = (
    *(
        b'"expiration":',
        b'"2030-01-01T00:00:00.000Z"',
        b'"conditions":[',
        b'["starts-with","$key","a"]',
        b'{"bucket":"b"}',
    ),
    *(
        b'["eq","$acl","private"]',
        b'["content-length-range",0,10]',
        b"[" * 50,
        b"1e999",
        b"NaN",
        b'"\\ud800"',
        b"{",
        b"}",
        b"]",
    ),
)


def check(data: bytes) -> None:
    """Check one policy."""
    policy = read_policy(base64.b64encode(data).decode())
    for form in (
        {"key": "a", "acl": "private", "content-type": "a/b,c/d"},
        {c.field: c.value for c in policy.conditions},
    ):
        try:
            policy.check(form, "b", NOW)
        except S3Error as error:
            check_error(error)
            continue
        assert policy.expiration >= NOW
