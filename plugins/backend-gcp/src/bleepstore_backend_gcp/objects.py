"""What the service says of an object, and what is said to it: headers, metadata, fingerprints.

The fingerprint of an object is its CRC-32C and its size, which the service computes for every object,
also for one that it composed.
"""

from __future__ import annotations

import base64
from functools import lru_cache, reduce

import google_crc32c
from bleepstore.native import UpstreamObject
from bleepstore.native_calls import Block
from bleepstore.storage import Target
from google.cloud.storage import Blob as Object

from bleepstore_backend_gcp import names
from bleepstore_backend_gcp.calls import token_of

DEFAULT_TYPE = "application/octet-stream"
"""What the service calls an object of no type."""
PROPERTIES = {
    "content-type": "content_type",
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
}
GRAIN = 256 * 1024
"""Bytes that are digested at once. A request of an upload has a whole number of them, but for the last."""
FIELDS = (
    "items(name,size,generation,metageneration,crc32c,md5Hash,timeCreated,updated,contentType,"
    "cacheControl,contentDisposition,contentEncoding,contentLanguage,metadata),nextPageToken"
)
"""What listings are asked for."""


def dress(item: Object, target: Target) -> Object:
    """Give an object that is to be written the headers and metadata of ``target``.

    Headers that the service has no place for are kept by metadata alone.
    """
    for header, name in PROPERTIES.items():
        if value := target.headers.get(header):
            setattr(item, name, value)
    item.content_type = item.content_type or DEFAULT_TYPE
    item.metadata = names.metadata_out(target.metadata)
    return item


def headers_of(item: Object) -> dict[str, str]:
    """An object's properties as headers."""
    found = {header: getattr(item, name) for header, name in PROPERTIES.items()}
    return {header: value for header, value in found.items() if value}


def state_of(item: Object) -> str:
    """The token of what the service said of an object."""
    return token_of(item.generation, item.metageneration)


def describe(name: str, item: Object) -> UpstreamObject | None:
    """An object as the contract sees it; ``None`` for one whose name no key has."""
    place = names.key_of(name)
    if place is None:
        return None
    changed = item.updated or item.time_created
    return UpstreamObject(
        name=name,
        bucket=place[0],
        key=place[1],
        size=item.size or 0,
        token=state_of(item),
        fingerprint=known_by(item),
        etag=base64.b64decode(item.md5_hash).hex() if item.md5_hash else None,
        modified=int(changed.timestamp() * 1000) if changed is not None else 0,
        headers=headers_of(item),
        metadata=dict(item.metadata or {}),
    )


# --- fingerprints -----------------------------------------------------------------------------------


def fingerprint(size: int, crc: int) -> str:
    """What bytes are known by."""
    return f"{size}-{crc:08x}"


def known_by(item: Object) -> str:
    """The fingerprint of what the service said of an object."""
    return f"{item.size or 0}-{base64.b64decode(item.crc32c or '').hex()}"


def crc_of(block: Block, before: int) -> int:
    """The CRC-32C of bytes with the one given, and of what is in a buffer after them."""
    crc = before
    for n in range(0, block.filled, GRAIN):  # the library takes nothing that can change
        crc = google_crc32c.extend(crc, block[n : n + GRAIN])
    return crc


def encoded(crc: int) -> str:
    """A CRC-32C as the service writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def decoded(text: str | None) -> int:
    """A CRC-32C as a number."""
    return int.from_bytes(base64.b64decode(text or ""), "big")


_POLYNOMIAL = 0x82F63B78
"""CRC-32C (RFC 3720 B.4), the lowest power in the highest bit."""


def combine(first: int, second: int, length: int) -> int:
    """The CRC-32C of two spans, from theirs and the second's ``length`` in bytes.

    That of the first is moved past the second by multiplying it with x^(8 length).
    """
    return _product(_power(length), first) ^ second


def combined(spans: list[tuple[int, int]]) -> int:
    """The CRC-32C of spans one after another, of each one's CRC and length."""
    return reduce(lambda crc, span: combine(crc, *span), spans, 0)


@lru_cache(maxsize=256)
def _power(length: int) -> int:
    """x^(8 length): the parts of an upload are of few lengths."""
    square, power, rest = 1 << 30, 1 << 31, 8 * length  # x, and 1
    while rest:
        if rest & 1:
            power = _product(power, square)
        square = _product(square, square)
        rest >>= 1
    return power


def _product(a: int, b: int) -> int:
    """The product of two polynomials, modulo the CRC's."""
    product = 0
    for n in range(31, -1, -1):
        if a >> n & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product
