"""Making presigned URLs: a URL that carries its own signature.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from bleepstore.auth.canonical import (
    ALGORITHM,
    UNSIGNED,
    canonical_headers,
    canonical_request,
    sign,
    signing_key,
    string_to_sign,
)
from bleepstore.auth.sigv4 import WEEK
from bleepstore.secret import Secret


def presign(
    method: str,
    bucket: str,
    key: str,
    *,
    access_key: str,
    secret_key: str | Secret,
    endpoint: str = "http://127.0.0.1:9000",
    region: str = "us-east-1",
    expires: int = 3600,
    virtual: bool = False,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    now: int | None = None,
) -> str:
    """A URL by which whoever has it may make one request until it expires.

    ``expires`` is in seconds, 1 to 604,800; ``now`` in milliseconds since 1970 (default: the
    clock). ``query`` adds parameters (``versionId``, ``response-content-type``); ``headers`` must be
    sent exactly so with the request. ``virtual``: ``BUCKET.HOST/KEY`` instead of ``HOST/BUCKET/KEY``.
    Raises ValueError.
    """
    if not 1 <= expires <= WEEK:
        raise ValueError(f"expires must be 1 to {WEEK} seconds")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"{endpoint!r} is not an http:// or https:// address")
    if not bucket or not key:
        raise ValueError("a bucket and a key are needed")
    secret = secret_key.reveal() if isinstance(secret_key, Secret) else secret_key
    host = f"{bucket}.{parts.netloc}" if virtual else parts.netloc
    path = quote(f"/{key}" if virtual else f"/{bucket}/{key}", safe="/-._~")
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() if now is None else now / 1000))
    scope = f"{date[:8]}/{region}/s3/aws4_request"
    signed_headers = {"host": host, **{name.lower(): value for name, value in (headers or {}).items()}}
    names = sorted(signed_headers)
    signed = ";".join(names)
    parameters = {
        **(query or {}),
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": date,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": signed,
    }
    pairs = sorted(
        (quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in parameters.items()
    )
    text = "&".join(f"{name}={value}" for name, value in pairs)
    request = canonical_request(
        method, path, text, canonical_headers(signed_headers, names), signed, UNSIGNED
    )
    signature = sign(signing_key(secret, date[:8], region), string_to_sign(date, scope, request))
    return f"{parts.scheme}://{host}{path}?{text}&X-Amz-Signature={signature}"


def _encode(text: str) -> str:
    return quote(text, safe="-._~")
