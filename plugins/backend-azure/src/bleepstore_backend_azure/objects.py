"""What the service says of a blob, and what is said to it: headers, metadata, fingerprints.

The fingerprint of a blob is what survives publishing: its Content-MD5, which is stored as a property
and copied with the blob; where it has none (an upload in parts), the private blob that it was copied
from, whose name is unique and which the service remembers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.storage.blob import BlobProperties, ContentSettings
from bleepstore.native import UpstreamObject
from bleepstore.storage import Target

from bleepstore_backend_azure import names
from bleepstore_backend_azure.calls import token_of

DEFAULT_TYPE = "application/octet-stream"
"""What the service calls a blob of no type."""
_PROPERTIES = {
    "content-type": "content_type",
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
}


def settings_of(target: Target, md5: bytes | None) -> ContentSettings:
    """The properties of a blob that is to become ``target``.

    Other headers than these five, and values that are no printable ASCII, are kept by metadata alone.
    """
    known: dict[str, Any] = {
        name: value
        for header, name in _PROPERTIES.items()
        if (value := target.headers.get(header)) and value.isascii() and value.isprintable()
    }
    known.setdefault("content_type", DEFAULT_TYPE)
    return ContentSettings(**known, content_md5=bytearray(md5) if md5 else None)


def headers_of(settings: ContentSettings) -> dict[str, str]:
    """A blob's properties as headers."""
    found = {header: getattr(settings, name) for header, name in _PROPERTIES.items()}
    return {header: value for header, value in found.items() if value}


def md5_of(properties: BlobProperties) -> bytes | None:
    """A blob's Content-MD5."""
    digest = properties.content_settings.content_md5
    return bytes(digest) if digest else None


def fingerprint(size: int, md5: bytes | None, copied_from: str | None, token: str = "") -> str:
    """What bytes are known by; ``copied_from`` is the path of a blob in its account."""
    if md5:
        return f"{size}-{md5.hex()}"
    if copied_from:
        return f"{size}-from-{hashlib.sha256(copied_from.encode()).hexdigest()[:32]}"
    return f"{size}-at-{token}"


def path_of(url: str | None) -> str | None:
    """A blob's path in its account, of its URL or of what it was copied from."""
    return unquote(urlsplit(url).path) if url else None


def copied_from(properties: BlobProperties) -> str | None:
    """The path of the blob that this one is a copy of."""
    return path_of(properties.copy.source) if properties.copy.status == "success" else None


def describe(name: str, properties: BlobProperties) -> UpstreamObject | None:
    """A blob as the contract sees it; ``None`` for one whose name no key has."""
    place = names.key_of(name)
    if place is None:
        return None
    md5, token = md5_of(properties), token_of(properties.etag)
    metadata: Mapping[str, str] = properties.metadata or {}
    return UpstreamObject(
        name=name,
        bucket=place[0],
        key=place[1],
        size=properties.size,
        token=token,
        fingerprint=fingerprint(properties.size, md5, copied_from(properties), token),
        etag=md5.hex() if md5 else None,
        modified=int(properties.last_modified.timestamp() * 1000),
        headers=headers_of(properties.content_settings),
        metadata=names.metadata_in(metadata),
    )
