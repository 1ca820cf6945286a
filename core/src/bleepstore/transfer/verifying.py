"""Reading an object of the store, and comparing what was read with what is known of it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bleepstore.exchange import Services
from bleepstore.http.checksums import FULL_OBJECT, checksummer
from bleepstore.metadata import Checksum, ObjectRecord, Segment
from bleepstore.storage import Blob, BlobMissing
from bleepstore.transfer.report import Report

MD5 = re.compile(r"[0-9a-f]{32}")
"""An ETag that is the digest of the bytes; that of a multipart object is not."""
OF_PARTS = re.compile(r"[0-9a-f]{32}-[1-9][0-9]{0,4}")
"""The ETag of a multipart object."""
OFF_LOOP = 128 * 1024
"""Bytes from which a digest is worth a thread."""


class Digests:
    """What bytes are known by, while they pass."""

    def __init__(self, algorithm: str | None = None) -> None:
        """``algorithm``: a checksum of S3 that is computed beside the MD5."""
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._algorithm = algorithm
        self._checksum = None if algorithm is None else checksummer(algorithm)
        self._value: str | None = None

    async def update(self, piece: bytes) -> None:
        """Take more bytes."""
        self.size += len(piece)
        if len(piece) < OFF_LOOP:
            self._update(piece)
        else:
            await asyncio.to_thread(self._update, piece)

    def _update(self, piece: bytes) -> None:
        self._md5.update(piece)
        if self._checksum is not None:
            self._checksum.update(piece)

    @property
    def md5(self) -> str:
        """In hex."""
        return self._md5.hexdigest()

    @property
    def checksum(self) -> Checksum | None:
        """That of the algorithm; once all bytes have passed."""
        if self._algorithm is None or self._checksum is None:
            return None
        if self._value is None:
            self._value = self._checksum.base64()
        return Checksum(algorithm=self._algorithm, value=self._value)

    def fault(self, size: int, etag: str, checksum: Checksum | None = None) -> str | None:
        """In what the bytes are not those of a size, an ETag (if that is an MD5) and a checksum."""
        if self.size != size:
            return f"has {self.size} bytes, and not {size}"
        if MD5.fullmatch(etag) and self.md5 != etag:
            return f"has the MD5 {self.md5}, and not its ETag {etag}"
        if checksum is not None and self._algorithm == checksum.algorithm and self.checksum != checksum:
            return f"has another {checksum.algorithm} than {checksum.value}"
        return None


def whole_checksum(found: ObjectRecord) -> Checksum | None:
    """The checksum of all bytes of an object, where its row has one."""
    checksum = found.attributes.checksum
    return checksum if checksum is not None and checksum.type == FULL_OBJECT else None


def digests_of(found: ObjectRecord) -> Digests:
    """Digests that can be compared with a row."""
    checksum = whole_checksum(found)
    return Digests(None if checksum is None else checksum.algorithm)


async def fault_of(found: ObjectRecord, pieces: AsyncGenerator[bytes, None], report: Report) -> str | None:
    """What is wrong with bytes that are to be those of a row, as far as that tells. Raises as they do."""
    digests = digests_of(found)
    async with aclosing(pieces):
        async for piece in pieces:
            await digests.update(piece)
            report.progress.moved += len(piece)
    return digests.fault(found.size, found.etag, whole_checksum(found))


class Wrong(Exception):
    """Bytes are not what they are said to be."""


async def checked(services: Services, found: ObjectRecord, report: Report) -> AsyncGenerator[bytes, None]:
    """The bytes of an object, which are right when they end. Raises StorageFault, Wrong."""
    digests = digests_of(found)
    async with aclosing(read(services, found)) as pieces:
        async for piece in pieces:
            await digests.update(piece)
            report.progress.moved += len(piece)
            yield piece
    if fault := digests.fault(found.size, found.etag, whole_checksum(found)):
        raise Wrong(fault)


async def read(services: Services, found: ObjectRecord) -> AsyncGenerator[bytes, None]:
    """The bytes of an object, wherever they are. Raises StorageFault."""
    metadata = services.metadata
    with metadata.reading():
        if found.segments is not None and found.blob is None:
            segments = await metadata.segments(found.segments, start=0, length=found.size)
        elif found.blob is None or found.size == 0:
            segments = ()
        else:
            segments = (
                Segment(
                    blob=found.blob,
                    blob_size=found.size,
                    offset=0,
                    length=found.size,
                    inline=found.inline,
                    token=found.token,
                ),
            )
        for segment in segments:
            async with aclosing(_segment(services, segment)) as pieces:
                async for piece in pieces:
                    yield piece


async def _segment(services: Services, segment: Segment) -> AsyncGenerator[bytes, None]:
    if segment.inline:
        data = await services.metadata.inline_data(segment.blob)
        if data is None:
            raise BlobMissing(segment.blob)
        yield data[segment.offset : segment.offset + segment.length]
        return
    blob = Blob(name=segment.blob, size=segment.blob_size, token=segment.token)
    reader = await services.storage.open(blob, segment.offset, segment.length)
    try:
        async for piece in reader:
            yield piece
    finally:
        await reader.close()
