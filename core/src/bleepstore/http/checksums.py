"""The ten checksum algorithms of S3, each by a library that is loaded on first use.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
CRC32 is zlib's, CRC32C google-crc32c's (0.3 MB), the digests hashlib's; CRC64NVME and the XXHASH
family come from awscrt (6.5 MB, 100 ms: the reason why nothing here is imported early).

A multipart object has one of two types: FULL_OBJECT (the checksum of all its bytes, combined from
the parts' CRCs) or COMPOSITE (the checksum of the parts' checksums, with ``-N``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bleepstore.errors import S3Error

FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"


class Checksummer(ABC):
    """A running checksum. Make one with :func:`checksummer`."""

    algorithm: str

    @abstractmethod
    def update(self, data: bytes) -> None:
        """Take more bytes."""

    @abstractmethod
    def digest(self) -> bytes:
        """The checksum of all bytes so far, big-endian. Called once, at the end."""

    def base64(self) -> str:
        """The digest as headers carry it."""
        return base64.b64encode(self.digest()).decode()


class _Crc(Checksummer):
    """A CRC by a function of (data, value so far)."""

    __slots__ = ("_extend", "_size", "_value", "algorithm")

    def __init__(self, algorithm: str, size: int, extend: Callable[[bytes, int], int]) -> None:
        self.algorithm = algorithm
        self._size = size
        self._extend = extend
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._extend(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _Hash(Checksummer):
    """A hash object's ``update`` and its end."""

    __slots__ = ("_end", "_update", "algorithm")

    def __init__(self, algorithm: str, update: Callable[[bytes], object], end: Callable[[], bytes]) -> None:
        self.algorithm = algorithm
        self._update = update
        self._end = end

    def update(self, data: bytes) -> None:
        self._update(data)

    def digest(self) -> bytes:
        return self._end()


def _crc32(name: str) -> Checksummer:
    return _Crc(name, 4, zlib.crc32)


def _crc32c(name: str) -> Checksummer:
    import google_crc32c

    extend: Callable[[int, bytes], int] = google_crc32c.extend
    return _Crc(name, 4, lambda data, value: extend(value, data))


def _crc64nvme(name: str) -> Checksummer:
    from awscrt.checksums import crc64nvme  # type: ignore[import-untyped]

    return _Crc(name, 8, crc64nvme)


def _digest(name: str) -> Checksummer:
    hasher = hashlib.new(name.lower(), usedforsecurity=False)
    return _Hash(name, hasher.update, hasher.digest)


def _xxhash(name: str) -> Checksummer:
    from awscrt.checksums import XXHash

    new = {"XXHASH64": XXHash.new_xxhash64, "XXHASH3": XXHash.new_xxhash3_64}.get(
        name, XXHash.new_xxhash3_128
    )
    hasher: Any = new()
    return _Hash(name, hasher.update, hasher.finalize)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What S3 says about one algorithm."""

    name: str
    digest_size: int
    """Bytes."""
    types: tuple[str, ...]
    """The types a multipart upload may ask for, its default first."""
    make: Callable[[str], Checksummer]

    @property
    def header(self) -> str:
        """``x-amz-checksum-NAME``."""
        return f"x-amz-checksum-{self.name.lower()}"


ALGORITHMS: dict[str, Algorithm] = {
    a.name: a
    for a in (
        Algorithm("CRC32", 4, (COMPOSITE, FULL_OBJECT), _crc32),
        Algorithm("CRC32C", 4, (COMPOSITE, FULL_OBJECT), _crc32c),
        Algorithm("CRC64NVME", 8, (FULL_OBJECT,), _crc64nvme),
        Algorithm("SHA1", 20, (COMPOSITE,), _digest),
        Algorithm("SHA256", 32, (COMPOSITE,), _digest),
        Algorithm("SHA512", 64, (COMPOSITE,), _digest),
        Algorithm("MD5", 16, (COMPOSITE,), _digest),
        Algorithm("XXHASH64", 8, (COMPOSITE,), _xxhash),
        Algorithm("XXHASH3", 8, (COMPOSITE,), _xxhash),
        Algorithm("XXHASH128", 16, (COMPOSITE,), _xxhash),
    )
}
HEADERS: dict[str, str] = {a.header: a.name for a in ALGORITHMS.values()}
"""Header name to algorithm."""


def checksummer(algorithm: str) -> Checksummer:
    """A new running checksum. ``KeyError`` for a name that is none of the ten."""
    return ALGORITHMS[algorithm].make(algorithm)


def parse_value(algorithm: str, value: str) -> bytes:
    """The digest in an ``x-amz-checksum-*`` header. Raises S3Error InvalidRequest."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != ALGORITHMS[algorithm].digest_size:
        raise S3Error("InvalidRequest", f"Value for {ALGORITHMS[algorithm].header} header is invalid.")
    return digest


def upload_type(algorithm: str, asked: str | None) -> str:
    """The type of a multipart upload's checksum: what was asked for, or the default.

    Raises S3Error InvalidRequest where S3 does not offer the pair.
    """
    types = ALGORITHMS[algorithm].types
    if asked is None:
        return types[0]
    if asked not in (COMPOSITE, FULL_OBJECT):
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    if asked not in types:
        raise S3Error(
            "InvalidRequest",
            f"The {asked} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
        )
    return asked


def composite(algorithm: str, values: Sequence[str]) -> str:
    """The COMPOSITE checksum of parts whose base64 values these are, in order: ``VALUE-N``."""
    whole = checksummer(algorithm)
    whole.update(b"".join(base64.b64decode(v) for v in values))
    return f"{whole.base64()}-{len(values)}"


def combine(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """The FULL_OBJECT checksum of consecutive spans, each (base64 value, length in bytes).

    For the CRCs only (``KeyError`` otherwise); costs microseconds, whatever the lengths.
    """
    from awscrt import checksums as crt  # type: ignore[import-untyped]

    join: Callable[[int, int, int], int] = {
        "CRC32": crt.combine_crc32,
        "CRC32C": crt.combine_crc32c,
        "CRC64NVME": crt.combine_crc64nvme,
    }[algorithm]
    whole = 0
    for value, length in parts:
        whole = join(whole, int.from_bytes(base64.b64decode(value), "big"), length)
    return base64.b64encode(whole.to_bytes(ALGORITHMS[algorithm].digest_size, "big")).decode()
