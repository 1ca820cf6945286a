"""The ``x-amz-copy-source`` header: which bucket, key and version a copy reads.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
``BUCKET/KEY`` or ``/BUCKET/KEY``, URL-encoded, with ``?versionId=ID`` at the end where a version is
meant. A bare ``+`` is a space, as in a query (https://github.com/aws/aws-cli/issues/614 shows S3 read it
so; s5cmd encodes spaces like that); where no such key is, it is what a client meant that does not
encode it. Access points and other ARNs are not built.
"""

from __future__ import annotations

from dataclasses import dataclass

from bleepstore.errors import S3Error
from bleepstore.http.address import check_key
from bleepstore.http.headers import percent_decode


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """What a copy reads."""

    bucket: str
    key: str
    version: str | None


def parse_copy_source(header: str, *, literal_plus: bool = False) -> SourceAddress:
    """Read the header. Raises S3Error InvalidArgument, NotImplemented (ARNs), KeyTooLongError."""
    path, _, version = header.partition("?versionId=")
    try:
        # No bucket name has a slash, so it makes no difference whether the one after it is encoded.
        decoded = percent_decode(path if literal_plus else path.replace("+", " ")).removeprefix("/")
        version = percent_decode(version)
    except S3Error:
        raise _invalid("Invalid copy source encoding.", header) from None
    if decoded.startswith("arn:"):
        raise S3Error("NotImplemented", Header="x-amz-copy-source")
    bucket, _, key = decoded.partition("/")
    if not bucket or not key:
        raise _invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey", header)
    check_key(key)
    return SourceAddress(bucket, key, version or None)


def _invalid(message: str, header: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName="x-amz-copy-source", ArgumentValue=header[:1024])
