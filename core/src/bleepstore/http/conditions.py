"""Conditional requests as pure functions.

Reads: RFC 9110 section 13.2.2. An ``If-Match`` that holds makes ``If-Unmodified-Since`` moot, an
``If-None-Match`` makes ``If-Modified-Since`` moot; dates have whole seconds, unreadable ones are
ignored. Copy sources have the same four under ``x-amz-copy-source-``, and answer 412 only.
Writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from bleepstore.commands import Condition
from bleepstore.errors import S3Error
from bleepstore.http.dates import parse_http_date

READ_HEADERS = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
COPY_HEADERS = frozenset("x-amz-copy-source-" + name for name in READ_HEADERS)


class Verdict(enum.Enum):
    """How a conditional read ends; the value is the header that decided."""

    NOT_MODIFIED_ETAG = "If-None-Match"
    NOT_MODIFIED_DATE = "If-Modified-Since"
    FAILED_MATCH = "If-Match"
    FAILED_DATE = "If-Unmodified-Since"

    @property
    def not_modified(self) -> bool:
        """304 rather than 412 (on GET and HEAD)."""
        return self in (Verdict.NOT_MODIFIED_ETAG, Verdict.NOT_MODIFIED_DATE)


def etags(header: str) -> tuple[str, ...]:
    """The ETags of a list, without quotes and weakness; ``("*",)`` for any."""
    tags = []
    for item in header.split(","):
        tag = item.strip()
        if tag[:2] == "W/":
            tag = tag[2:]
        if len(tag) >= 2 and tag[0] == tag[-1] == '"':
            tag = tag[1:-1]
        if tag:
            tags.append(tag)
    return ("*",) if "*" in tags else tuple(tags)


def _matches(header: str, etag: str) -> bool:
    tags = etags(header)
    return tags == ("*",) or etag in tags


def decide(headers: Mapping[str, str], etag: str, modified: int, *, prefix: str = "") -> Verdict | None:
    """Decide on reading an object with this ETag, changed at ``modified`` (ms); ``None``: read it.

    ``prefix`` is ``x-amz-copy-source-`` for a copy source.
    """
    if (COPY_HEADERS if prefix else READ_HEADERS).isdisjoint(headers):
        return None
    changed = modified // 1000 * 1000
    match = headers.get(prefix + "if-match")
    if match is not None:
        if not _matches(match, etag):
            return Verdict.FAILED_MATCH
    else:
        since = parse_http_date(headers.get(prefix + "if-unmodified-since", ""))
        if since is not None and changed > since:
            return Verdict.FAILED_DATE
    none_match = headers.get(prefix + "if-none-match")
    if none_match is not None:
        return Verdict.NOT_MODIFIED_ETAG if _matches(none_match, etag) else None
    since = parse_http_date(headers.get(prefix + "if-modified-since", ""))
    if since is not None and changed <= since:
        return Verdict.NOT_MODIFIED_DATE
    return None


def check_copy_source(headers: Mapping[str, str], etag: str, modified: int) -> None:
    """Raise S3Error PreconditionFailed unless a copy source is as ``x-amz-copy-source-if-*`` says."""
    verdict = decide(headers, etag, modified, prefix="x-amz-copy-source-")
    if verdict is not None:
        raise S3Error("PreconditionFailed", Condition="x-amz-copy-source-" + verdict.value)


def write_condition(headers: Mapping[str, str]) -> Condition:
    """The precondition of a write, decided with its commit.

    Raises S3Error NotImplemented for ``If-None-Match`` with anything but ``*`` and for the date
    conditions, which S3 has on reads only.
    """
    if READ_HEADERS.isdisjoint(headers):
        return Condition()
    for name in ("if-modified-since", "if-unmodified-since"):
        if name in headers:
            raise S3Error("NotImplemented", Header=name.title())
    if_match = headers.get("if-match")
    none_match = headers.get("if-none-match")
    if none_match is not None and etags(none_match) != ("*",):
        raise S3Error("NotImplemented", Header="If-None-Match")
    if if_match is not None and none_match is not None:
        raise S3Error("NotImplemented", Header="If-Match")
    tags = None
    if if_match is not None:
        tags = etags(if_match)
        if not tags:
            raise S3Error("InvalidArgument", ArgumentName="If-Match", ArgumentValue=if_match)
    return Condition(if_match=tags, if_none_match=none_match is not None)
