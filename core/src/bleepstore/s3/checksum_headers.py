"""Checksums as replies carry them, in headers and in documents."""

from __future__ import annotations

from bleepstore.http.checksums import ALGORITHMS
from bleepstore.metadata import Checksum


def checksum_headers(checksum: Checksum | None) -> dict[str, str]:
    """``x-amz-checksum-NAME`` and ``x-amz-checksum-type``."""
    if checksum is None:
        return {}
    return {ALGORITHMS[checksum.algorithm].header: checksum.value, "x-amz-checksum-type": checksum.type}


def checksum_fields(checksum: Checksum | None) -> dict[str, str]:
    """The field of a shape that holds the checksum (``checksum_crc32``)."""
    if checksum is None:
        return {}
    return {f"checksum_{checksum.algorithm.lower()}": checksum.value}
