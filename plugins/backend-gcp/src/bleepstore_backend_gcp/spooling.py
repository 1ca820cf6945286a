"""Memory for bytes that wait until their call can be made in one go."""

from __future__ import annotations

from itertools import count

import google_crc32c

GRAIN = 256 * 1024
"""Bytes of which a buffer has a whole number, unless it is the last of its upload."""


class Block:
    """A buffer of fixed size. It goes back to where it came from when nobody holds it any more.

    That includes a call that goes on after whoever waited for it was cancelled.
    """

    def __init__(self, buffers: Buffers, number: int, data: bytearray) -> None:
        self.data = data
        self.filled = 0
        self._buffers = buffers
        self._number = number

    def __del__(self) -> None:
        self._buffers.put_back(self._number, self.data)

    @property
    def room(self) -> int:
        """Bytes that are not filled."""
        return len(self.data) - self.filled

    def append(self, data: memoryview) -> int:
        """Take as many bytes as there is room for."""
        taken = min(len(data), self.room)
        self.data[self.filled : self.filled + taken] = data[:taken]
        self.filled += taken
        return taken

    def bytes(self, start: int = 0, end: int | None = None) -> bytes:
        """A copy of what is filled, or of a slice of it."""
        with memoryview(self.data)[: self.filled][start:end] as view:
            return bytes(view)

    def crc(self, crc: int) -> int:
        """The CRC-32C of bytes with this one, and of what is filled after them."""
        for n in range(0, self.filled, GRAIN):  # the library takes nothing that can change
            crc = google_crc32c.extend(crc, self.bytes(n, n + GRAIN))
        return crc


class Buffers:
    """Buffers of one size that are used again: allocated anew for each block they would scatter the heap.

    Sets and lists are changed by single steps of the interpreter, from any thread.
    """

    def __init__(self, size: int, limit: int) -> None:
        """``limit``: bytes from which on writes are to be modest."""
        self._size = size
        self._limit = limit
        self._numbers = count()
        self._out: dict[int, int] = {}
        self._free: list[bytearray] = []

    @property
    def scarce(self) -> bool:
        """So much is being held that a write should wait for its own call before it takes more."""
        return sum(list(self._out.values())) >= self._limit

    def take(self, size: int) -> Block:
        """A buffer of ``size`` bytes, with anything in it."""
        data = self._free.pop() if size == self._size and self._free else bytearray(size)
        number = next(self._numbers)
        self._out[number] = size
        return Block(self, number, data)

    def put_back(self, number: int, data: bytearray) -> None:
        """A buffer that nobody reads any more."""
        self._out.pop(number, None)
        if len(data) == self._size and len(self._free) * self._size < self._limit // 2:
            self._free.append(data)
