"""Which names a bucket may have.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

from bleepstore.errors import S3Error

_ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_CHARACTERS = _ALPHANUMERIC | frozenset("-.")
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
"""Reserved for what AWS names itself: aliases, directory and table buckets ..."""


def is_bucket_name(name: str) -> bool:
    """Whether a bucket may be created under this name."""
    return (
        3 <= len(name) <= 63
        and _CHARACTERS.issuperset(name)
        and name[0] in _ALPHANUMERIC
        and name[-1] in _ALPHANUMERIC
        # Each label between dots is a DNS label: not empty, no dash at either end.
        and not any(pair in name for pair in ("..", "-.", ".-"))
        and not _looks_like_ipv4(name)
        and not name.startswith(_PREFIXES)
        and not name.endswith(_SUFFIXES)
    )


def check_bucket_name(name: str) -> None:
    """Raises S3Error InvalidBucketName for a name no bucket may have."""
    if not is_bucket_name(name):
        raise S3Error("InvalidBucketName", BucketName=name)


def _looks_like_ipv4(name: str) -> bool:
    labels = name.split(".")
    return len(labels) == 4 and all(label.isdigit() for label in labels)
