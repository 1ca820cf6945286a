"""The x-amz-copy-source header: what is read from it names something, and is read again from its encoding."""

from __future__ import annotations

from urllib.parse import quote

from bleepstore.http.copy_source import parse_copy_source
from bleepstore.http.pipeline import check_version_id

WORDS = (
    b"?versionId=",
    b"bucket/key",
    b"/bucket/key",
    b"arn:aws:s3:us-east-1:1:accesspoint/a/object/k",
    b"%252F",
)


def check(data: bytes) -> None:
    """Check one header."""
    header = data.decode("latin-1")
    for literal in (True, False):
        found = parse_copy_source(header, literal_plus=literal)
        assert found.bucket
        assert "/" not in found.bucket
        assert 0 < len(found.key.encode()) <= 1024
        encoded = f"{quote(found.bucket, safe='')}/{quote(found.key, safe='')}"
        if found.version is not None:
            encoded += f"?versionId={quote(found.version, safe='')}"
        # A bucket that begins with a slash is none; what is encoded stays what it is.
        if not found.bucket.startswith("arn:"):
            assert parse_copy_source(encoded) == found
        if found.version is not None:
            check_version_id(found.version)
