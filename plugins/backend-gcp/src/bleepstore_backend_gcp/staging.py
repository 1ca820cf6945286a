"""One write: bytes in memory, or a private object, then the object.

A body that fits one buffer stays in memory and is published by one upload. A larger one is sent as it
comes, in whole buffers, by a resumable upload (see ``uploading``) to a private object,
``.bleepstore/staging/NAME``. Sealing finishes it, and the service compares its CRC-32C; publishing
rewrites it over the object on a condition (see ``publishing``), which copies no bytes, and removes it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import google_crc32c
from bleepstore.native_calls import Block
from bleepstore.native_staging import Filling, ThreadedStaged
from bleepstore.storage import Buffer, Target

from bleepstore_backend_gcp import names
from bleepstore_backend_gcp.calls import MIB
from bleepstore_backend_gcp.objects import GRAIN, crc_of, dress, fingerprint
from bleepstore_backend_gcp.publishing import Publication, Published
from bleepstore_backend_gcp.uploading import Session

if TYPE_CHECKING:
    from bleepstore_backend_gcp.backend import GcpBackend

MOST_AT_ONCE = 8 * MIB
"""Bytes that the SDK uploads in one request."""


class GcpStaged(ThreadedStaged["GcpBackend"]):
    """What all writes are."""

    _certain = False
    """What was published can be of nobody else."""

    def __init__(self, backend: GcpBackend, name: str, target: Target) -> None:
        super().__init__(backend, name, backend.name_of(target.bucket, target.key))
        self._target = target
        names.metadata_out(target.metadata)

    @abstractmethod
    def make(self, publication: Publication) -> Published:
        """Make it the object, on the condition. In a thread."""

    def publish_blocking(self, expect: str | None) -> str:
        """Make it, and note whether it is certain to be ours."""
        publication = Publication(self.backend, self.blob_name, self._target, self.fingerprint, expect)
        published = self.make(publication)
        self._certain = published.certain
        return published.token

    def remove_blocking(self) -> None:
        """The object that was published, if it is ours; and what an override adds."""
        if self._certain:
            super().remove_blocking()


class GcpBody(GcpStaged):
    """A write of pieces."""

    _crc = 0
    _body = b""
    _staged = False
    """There may be a private object."""

    def __init__(
        self, backend: GcpBackend, name: str, target: Target, size: int | None, private: str = ""
    ) -> None:
        super().__init__(backend, name, target)
        self._filling = Filling(backend.buffers, size=backend.buffer, expected=size, grain=GRAIN)
        self._private = private or f"{names.STAGING}{name}"
        self._session = Session(backend, dress(backend.item(self._private), target))

    async def write(self, data: Buffer) -> None:
        """Append; returns while a buffer is being sent, and raises for the one before."""
        await self._filling.append(data, self, self._send)

    def _send(self, block: Block, *, last: bool = False) -> None:
        self._staged = True
        self._crc = crc_of(block, self._crc)
        with memoryview(block.data)[: block.filled] as data:
            start, self.size = self.size, self.size + len(data)
            self._session.send(data, start, crc=self._crc if last else None)

    def seal_blocking(self) -> str:
        """Send what is left, or digest what stays in memory."""
        rest = self._filling.rest()
        if rest is not None and (self._staged or rest.filled > MOST_AT_ONCE):
            self._send(rest, last=True)
        else:
            self._body = rest[:] if rest is not None else b""
            self.size, self._crc = len(self._body), google_crc32c.value(self._body)
        return fingerprint(self.size, self._crc)

    def make(self, publication: Publication) -> Published:
        """Put what is in memory, or rewrite the private object."""
        if not self._staged:
            return publication.put(self._body, self._crc)
        source = self.backend.item(self._private, self._session.generation)
        published = publication.rewrite(source)
        self.backend.drop(self._private)
        self._staged = False
        return published

    def has_traces(self) -> bool:
        """Also the private object."""
        return self._staged or super().has_traces()

    def remove_blocking(self) -> None:
        """The object that was published, and the private one."""
        super().remove_blocking()
        if self._staged:
            self._session.cancel()
            self.backend.remove(self._private)

    def release(self) -> None:
        """What was not sent."""
        self._filling.rest()
