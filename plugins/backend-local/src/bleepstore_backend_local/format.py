"""The format of a blob file: the bytes, and a trailer that proves them.

::

    +--------------------------- size bytes ---------------------------+
    | block 0 (64 KiB) | block 1 | ...                   | last block  |
    +------------------------------------------------------------------+
    | CRC32C of block 0 (u32) | CRC32C of block 1 | ...                |
    +------------------------------------------------------------------+
    | size (u64) | block size (u32) | CRC32C of all above the size     |
    |            | version (u32)    | in the trailer and of this (u32) |
    | magic "BLEEPBLB"                                                 |
    +------------------------------------------------------------------+

All numbers are little-endian. The bytes stand first, so that a read of a span is one seek, and a
reader needs the trailer only for the blocks that it touches.
"""

from __future__ import annotations

import struct
import sys
from array import array

import google_crc32c
from bleepstore.storage import Damaged

BLOCK = 64 * 1024
"""Bytes that one checksum covers."""
VERSION = 1
MAGIC = b"BLEEPBLB"
FOOTER = struct.Struct("<QIII8s")
_HEAD = struct.Struct("<QII")


def crc32c(data: bytes) -> int:
    """The CRC32C of ``data``."""
    return int(google_crc32c.value(data))


def extend(crc: int, data: bytes) -> int:
    """The CRC32C of what ``crc`` covers followed by ``data``."""
    return int(google_crc32c.extend(crc, data))


class BlockSums:
    """The checksums of a blob that is being written in pieces of any size."""

    __slots__ = ("_crc", "_filled", "_sums", "size")

    def __init__(self) -> None:
        self._sums = array("I")
        self._crc = 0
        self._filled = 0
        self.size = 0

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        at, end = 0, len(data)
        self.size += end
        while at < end:
            take = min(BLOCK - self._filled, end - at)
            piece = data if take == end else data[at : at + take]
            self._crc = extend(self._crc, piece)
            self._filled += take
            at += take
            if self._filled == BLOCK:
                self._sums.append(self._crc)
                self._crc = self._filled = 0

    def trailer(self) -> bytes:
        """The trailer of all bytes so far."""
        sums = self._sums[:]
        if self._filled:
            sums.append(self._crc)
        table = _little(sums).tobytes()
        head = _HEAD.pack(self.size, BLOCK, VERSION)
        proof = extend(crc32c(table), head)
        return table + FOOTER.pack(self.size, BLOCK, VERSION, proof, MAGIC)


def trailer_size(size: int) -> int:
    """Bytes of the trailer of a blob of ``size`` bytes."""
    return 4 * -(-size // BLOCK) + FOOTER.size


def read_trailer(trailer: bytes, size: int, blob: str) -> array[int]:
    """The block checksums of a blob. Raises Damaged for what was not written so."""
    if len(trailer) != trailer_size(size):
        raise Damaged(f"blob {blob} is cut short")
    table, footer = trailer[: -FOOTER.size], trailer[-FOOTER.size :]
    stored, block, version, proof, magic = FOOTER.unpack(footer)
    if magic != MAGIC or (stored, block, version) != (size, BLOCK, VERSION):
        raise Damaged(f"blob {blob} has no trailer of this format")
    if proof != extend(crc32c(table), _HEAD.pack(stored, block, version)):
        raise Damaged(f"the trailer of blob {blob} is not what was written")
    sums = array("I")
    sums.frombytes(table)
    return _little(sums)


def check_blocks(data: bytes, first: int, sums: array[int], blob: str) -> None:
    """Compare whole blocks, from block ``first`` on, with their checksums. Raises Damaged."""
    for n, at in enumerate(range(0, len(data), BLOCK), first):
        if crc32c(data[at : at + BLOCK]) != sums[n]:
            raise Damaged(f"block {n} of blob {blob} is not what was written")


def _little(sums: array[int]) -> array[int]:
    if sys.byteorder == "big":
        sums.byteswap()
    return sums
