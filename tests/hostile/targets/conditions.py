"""Conditional headers and dates: a verdict for any headers, and dates that survive being written.

The input is a head; ETag and time of the object are fixed.
"""

from __future__ import annotations

from functools import partial

from bleepstore.http.conditions import check_copy_source, decide, etags, write_condition
from bleepstore.http.dates import http_date, iso_time, parse_http_date
from exchanges import NOW, exchange, head
from harness import answered

WORDS = (
    *(
        b"If-Match: ",
        b"If-None-Match: ",
        b"If-Modified-Since: ",
        b"If-Unmodified-Since: ",
        b"x-amz-copy-source-if-match: ",
    ),
    *(
        b"x-amz-copy-source-if-modified-since: ",
        b'W/"',
        b'"d41d8cd98f00b204e9800998ecf8427e"',
        b" GMT",
        b" +0000",
        b"Z",
    ),
    *(
        b"Fri, 02 Jan 2026 03:04:05 GMT",
        b"Friday, 02-Jan-26 03:04:05 GMT",
        b"Fri Jan  2 03:04:05 2026",
        b"2026-01-02T03:04:05Z",
    ),
)
ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def check(data: bytes) -> None:
    """Check one head."""
    method, target, fields = head(data.decode("latin-1"))
    x = exchange(method, target, fields)
    for etag, modified in ((ETAG, NOW), (f"{ETAG}-2", 0)):
        decide(x.headers, etag, modified)
        answered(partial(check_copy_source, x.headers, etag, modified))
    answered(partial(write_condition, x.headers))
    for value in x.headers.values():
        assert all(etags(value))
        at = parse_http_date(value)
        if at is not None:
            assert parse_http_date(http_date(at)) == at
            assert parse_http_date(iso_time(at)) == at
