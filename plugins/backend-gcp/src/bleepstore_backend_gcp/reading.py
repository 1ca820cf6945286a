"""Reading a span of an object: ranges, each of the token's generation only.

The first range asks whether the token is what is there now. Later ones ask for its generation,
which a bucket that keeps versions has even after it was replaced. An object that is read whole is
compared with its CRC-32C before its last range is given out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bleepstore.native_calls import Block
from bleepstore.native_reading import RangeReader
from bleepstore.storage import Blob, BlobMissing, Damaged, TokenMismatch

from bleepstore_backend_gcp.calls import Attempts, at, numbers_of
from bleepstore_backend_gcp.faults import ERRORS, kind
from bleepstore_backend_gcp.objects import crc_of, decoded

if TYPE_CHECKING:
    from bleepstore_backend_gcp.backend import GcpBackend


class GcpReader(RangeReader):
    """An open span of one object."""

    def __init__(self, backend: GcpBackend, blob: Blob, start: int, length: int | None) -> None:
        super().__init__(backend.calls, blob, start, length)
        self._backend = backend
        self._whole = (start, self.end) == (0, blob.size)
        self._crc = 0
        self._begun = False

    def fetch_blocking(self, start: int, want: int) -> Block:
        """One range."""
        if not want:
            size = self._backend.at_token(self.blob.name, self.blob.token, missing=False).size
            if size != self.blob.size:
                raise Damaged(f"{self.blob.name}: has {size} bytes, not {self.blob.size}")
            return self._backend.buffers.take(0)
        try:
            return self._range(start, want)
        except ERRORS as error:
            found = kind(error)
            if found is BlobMissing and self._begun:
                raise TokenMismatch(f"{self.blob.name}: was replaced while it was read") from error
            if found is Damaged:  # there are no such bytes: perhaps in another state of it only
                self._backend.at_token(self.blob.name, self.blob.token, missing=False)
            if found is TokenMismatch and self._backend.look(self.blob.name) is None:
                raise BlobMissing(self.blob.name) from error  # absence breaks the condition too
            raise

    def _range(self, start: int, want: int) -> Block:
        token, name = self.blob.token, self.blob.name
        if token is None or not self._begun:
            item, conditions = self._backend.item(name), at(token)
        else:
            item, conditions = self._backend.item(name, numbers_of(token)[0]), {}
        attempts = Attempts(self._backend.section)
        block = self._backend.buffers.take(want)
        item.download_to_file(
            _Sink(block),
            start=start,
            end=start + want - 1,
            raw_download=True,
            checksum=None,
            **conditions,
            **attempts.arguments,
        )
        if token is not None and item.generation not in (None, numbers_of(token)[0]):
            raise TokenMismatch(f"{name}: is at {item.generation}, not at {token}")  # of an emulator
        if block.room:
            raise Damaged(f"{name}: is cut short")
        self._begun = True
        if self._whole:
            self._crc = crc_of(block, self._crc)
            if start + want == self.end and item.crc32c and decoded(item.crc32c) != self._crc:
                raise Damaged(f"{name}: the bytes are not those of its CRC-32C")
        return block


class _Sink:
    """A buffer as the SDK writes to it, which begins anew where an attempt was for nothing."""

    def __init__(self, block: Block) -> None:
        self._block = block

    def write(self, data: bytes) -> None:
        self._block.append(memoryview(data))

    def seek(self, place: int) -> None:
        self._block.filled = place
