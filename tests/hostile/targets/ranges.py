"""Ranges: of reads, of copies, and the numbers beside them.

The input is a size, a line feed, and the header.
"""

from __future__ import annotations

from bleepstore.errors import S3Error
from bleepstore.http.ranges import Unsatisfiable, invalid_range, parse_copy_range, parse_range
from harness import check_error

WORDS = (b"bytes=", b"bytes=0-", b"bytes=-", b"BYTES = ", b"0-0,1-1", b"items=")


def check(data: bytes) -> None:
    """Check one header of an object of some size."""
    first, _, raw = data.partition(b"\n")
    size = int.from_bytes(first[-6:], "big") if not first.isdigit() else int(first[:18])
    header = raw.decode("latin-1")
    content = bytes(range(256))
    for whole in (size, 0, 1, len(content)):
        try:
            span = parse_range(header, whole)
        except Unsatisfiable:
            check_error(invalid_range(header, whole))
            continue
        if span is not None:
            assert 0 <= span.start < whole
            assert 0 < span.length <= whole - span.start
            assert span.content_range(whole).endswith(f"/{whole}")
            again = parse_range(f"bytes={span.start}-{span.start + span.length - 1}", whole)
            assert again == span
    try:
        span = parse_copy_range(header, size)
    except S3Error as error:
        check_error(error)
        return
    assert 0 <= span.start < span.start + span.length <= size
    assert parse_range(header, size) == span
