"""Addresses: bucket and key of any host and path, and the same again from what a client would send.

The input is the host, a line feed, and the raw path.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import quote

from bleepstore.http.address import Addressing
from bleepstore.http.forwarded import TrustedProxies

WORDS = (
    b"s3.example.com",
    b"bucket.s3.example.com",
    b":9000",
    b"[::1]",
    b"/bucket/key",
    b"a.b.s3.example.com.",
)
addressing = Addressing(["s3.example.com", "example.org"])
proxies = TrustedProxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])


def check(data: bytes) -> None:
    """Check one host and path."""
    first, _, rest = data.partition(b"\n")
    host, path = first.decode("latin-1"), rest.decode("latin-1")
    _forwarded(host)
    addressing.names_bucket(host)
    found = addressing.resolve(host, path)
    assert found.key is None or 0 < len(found.key.encode()) <= 1024
    if found.bucket is None:
        assert found.key is None
        return
    key = quote(found.key or "", safe="")
    if found.virtual:
        again = addressing.resolve(host, f"/{key}")
    elif found.bucket:
        again = addressing.resolve("localhost", f"/{quote(found.bucket, safe='')}/{key}")
    else:
        return
    assert again == found


def _forwarded(text: str) -> None:
    headers = {"x-forwarded-for": text, "x-forwarded-proto": text, "x-forwarded-host": text, "host": "h"}
    client, scheme = proxies.origin("10.1.1.1", "http", headers)
    assert scheme in ("http", "https")
    assert client
    assert proxies.origin("192.0.2.1", "http", {**headers, "host": "h"}) == ("192.0.2.1", "http")
    assert ipaddress.ip_address("10.1.1.1")
