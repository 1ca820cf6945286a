"""Presigned URLs: what their query says counts once, and only as it was signed.

The input is a head. As it is, it has no valid signature; presigned by the tests' own signer it is let in,
for as long as it says and with this method alone. Headers in the query are as good as headers.
"""

from __future__ import annotations

from bleepstore.auth.presign import presign
from bleepstore.auth.sigv4 import SignatureV4
from bleepstore.errors import S3Error
from bleepstore.http.headers import is_header
from bleepstore.http.pipeline import _with_query_headers
from exchanges import ACCOUNTS, KEYS, NOW, exchange, head, run

WORDS = (
    *(
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256",
        b"&X-Amz-Credential=",
        b"&X-Amz-Date=20260102T030405Z",
        b"&X-Amz-Expires=",
    ),
    *(b"&X-Amz-SignedHeaders=host", b"&X-Amz-Signature=", b"%2F20260102%2Fus-east-1%2Fs3%2Faws4_request"),
    *(
        b"&X-Amz-Security-Token=",
        b"&x-amz-acl=",
        b"&X-Amz-Content-Sha256=",
        b"&x-amz-meta-a=",
        b"&x-amz-checksum-crc32=",
    ),
    *(b"&AWSAccessKeyId=", b"&Signature=", b"&Expires=", b"604800", b"604801"),
)
authenticator = SignatureV4(ACCOUNTS, "us-east-1")


def check(data: bytes) -> None:
    """Check one head."""
    method, target, fields = head(data.decode("latin-1"))
    x = exchange(method, target, fields)
    _presigned(method, x.query, x.raw_path)
    for name, value in _with_query_headers(x).items():
        assert is_header(name, value)
        value.encode("latin-1")
    found = run(authenticator.authenticate(x))
    assert found is None or found.identity.anonymous, "nobody signed this"


def _presigned(method: str, query: object, path: str) -> None:
    assert isinstance(query, dict)
    more = {name: value for name, value in query.items() if not name.lower().startswith("x-amz-")}
    url = presign(
        method, "b", "k", access_key=KEYS[0], secret_key=KEYS[1], endpoint="http://h", query=more, now=NOW
    ).removeprefix("http://h")
    try:
        x = exchange(method, url, [("host", "h")])
    except S3Error:
        return  # too many parameters
    found = run(authenticator.authenticate(x))
    assert found is not None
    assert found.identity.access_key == KEYS[0]
    late = exchange(method, url, [("host", "h")])
    late.now = NOW + 3600 * 1000 + 1
    other = exchange("GET" if method != "GET" else "PUT", url, [("host", "h")])
    elsewhere = exchange(method, url, [("host", "i")])
    longer = exchange(method, url.replace("Expires=3600", "Expires=3601"), [("host", "h")])
    for changed in (late, other, elsewhere, longer):
        try:
            run(authenticator.authenticate(changed))
        except S3Error:
            continue
        raise AssertionError("it was changed after it was signed")
