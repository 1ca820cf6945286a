"""What a client says about an object in headers: attributes that are kept, and wishes that are not built.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
User metadata (``x-amz-meta-*``) has lower-case names and at most 2 KB. Values are ASCII on the
wire: others come as raw UTF-8 or as RFC 2047 words, are kept as text, and leave as RFC 2047 words.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from bleepstore.errors import S3Error
from bleepstore.metadata import Attributes
from bleepstore.settings import Settings

META = "x-amz-meta-"
METADATA_BYTES = 2048
"""User metadata of one object: names and values in UTF-8."""
DEFAULT_CONTENT_TYPE = "binary/octet-stream"
SYSTEM_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
)
"""Headers that are kept with an object and returned with it."""

STORAGE_CLASSES = frozenset(
    {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
)
"""Kept as a label."""
ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Refused: reading from them would need RestoreObject."""

_ENCRYPTION = "x-amz-server-side-encryption"
UNBUILT = frozenset(
    {
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-bucket-key-enabled",
        "x-amz-server-side-encryption-context",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key-md5",
        "x-amz-copy-source-server-side-encryption-customer-algorithm",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key-md5",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
        "x-amz-object-lock-legal-hold",
        "x-amz-object-lock-event-hold",
        "x-amz-object-lock-event-hold-duration-days",
        "x-amz-object-lock-event-hold-duration-years",
        "x-amz-bucket-object-lock-enabled",
        "x-amz-write-offset-bytes",
    }
)
"""Headers that ask for something that would be missing silently, were they accepted."""
_ASKING = UNBUILT | {_ENCRYPTION}


def object_attributes(headers: Mapping[str, str]) -> Attributes:
    """What PutObject, CreateMultipartUpload and CopyObject with REPLACE keep, without the checksum.

    Raises S3Error MetadataTooLarge, InvalidStorageClass, InvalidRedirectLocation, NotImplemented.
    """
    kept = {name: headers[name] for name in SYSTEM_HEADERS if headers.get(name)}
    if "content-type" not in kept:
        kept["content-type"] = DEFAULT_CONTENT_TYPE
    if "content-encoding" in kept:
        encoding = stored_encoding(kept.pop("content-encoding"))
        if encoding:
            kept["content-encoding"] = encoding
    target = kept.get("x-amz-website-redirect-location")
    if target is not None and not target.startswith(("/", "http://", "https://")):
        raise S3Error("InvalidRedirectLocation")
    return Attributes(headers=kept, metadata=user_metadata(headers), storage_class=storage_class(headers))


def stored_encoding(header: str) -> str:
    """A Content-Encoding without ``aws-chunked``, which is framing and not the object's."""
    if "aws-chunked" not in header.lower():
        return header
    codings = [coding.strip() for coding in header.split(",")]
    return ",".join(c for c in codings if c and c.lower() != "aws-chunked")


# Those of mail. Python's own codecs among the names (``unicode_escape``) are nobody's charset.
_CHARSET = re.compile(
    r"utf-8|us-ascii|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|shift_jis|euc-(jp|kr)|iso-2022-(jp|kr)"
    r"|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)


def storage_class(headers: Mapping[str, str]) -> str:
    """The storage class asked for. Raises S3Error InvalidStorageClass, NotImplemented (archives)."""
    name = headers.get("x-amz-storage-class")
    if not name or name in STORAGE_CLASSES:
        return name or "STANDARD"
    if name in ARCHIVE_CLASSES:
        raise S3Error("NotImplemented", Header="x-amz-storage-class")
    raise S3Error("InvalidStorageClass", StorageClassRequested=name)


def user_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """The ``x-amz-meta-*`` headers, by name without the prefix. Raises S3Error MetadataTooLarge."""
    metadata: dict[str, str] = {}
    size = 0
    for name, value in headers.items():
        if name.startswith(META):
            text = _decode_value(value)
            metadata[name[len(META) :]] = text
            size += len(name) - len(META) + len(text.encode())
    if size > METADATA_BYTES:
        raise S3Error("MetadataTooLarge", Size=str(size), MaxSizeAllowed=str(METADATA_BYTES))
    return metadata


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata as reply headers."""
    return {META + name: _encode_value(value) for name, value in metadata.items()}


def _decode_value(value: str) -> str:
    if not value.isascii():
        try:
            return value.encode("latin-1").decode()
        except UnicodeDecodeError:
            return value
    if "=?" in value:
        # Imported here: email costs 3 MB and few clients need it.
        from email.errors import HeaderParseError
        from email.header import decode_header, make_header

        try:
            words = decode_header(value)
            if all(charset is None or _CHARSET.fullmatch(charset) for _, charset in words):
                return str(make_header(words))
        except (HeaderParseError, LookupError, ValueError):
            return value
    return value


def _encode_value(value: str) -> str:
    if value.isascii() and value.isprintable():
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


def refuse_unbuilt(headers: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Refuse headers that ask for what is not built; returns reply headers that confirm the others.

    Raises S3Error NotImplemented, InvalidEncryptionAlgorithmError.
    """
    if _ASKING.isdisjoint(headers):
        return {}
    for name in headers:
        if name in UNBUILT and not (
            name == "x-amz-bucket-object-lock-enabled" and headers[name].lower() == "false"
        ):
            raise S3Error("NotImplemented", Header=name)
    algorithm = headers.get(_ENCRYPTION)
    if algorithm is None:
        return {}
    if algorithm != "AES256" and not algorithm.startswith("aws:"):
        raise S3Error("InvalidEncryptionAlgorithmError", ArgumentName=_ENCRYPTION, ArgumentValue=algorithm)
    if algorithm != "AES256" or not settings.storage.encrypted_at_rest:
        raise S3Error("NotImplemented", Header=_ENCRYPTION)
    return {_ENCRYPTION: algorithm}
