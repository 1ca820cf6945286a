"""Reading an object of the store, and comparing what was read with what its row says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bleepstore.exchange import Services
from bleepstore.http.checksums import FULL_OBJECT, checksummer
from bleepstore.metadata import ObjectRecord, Segment
from bleepstore.storage import Blob, BlobMissing
from bleepstore.transfer.console import Report

MD5 = re.compile(r"[0-9a-f]{32}")
"""An ETag that is the digest of the bytes; that of a multipart object is not."""


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


async def fault_of(services: Services, found: ObjectRecord, report: Report) -> str | None:
    """What is wrong with the bytes of an object, by its size, its ETag and its checksum.

    ``None``: they are what the row says, as far as that tells. Raises StorageFault.
    """
    checksum = found.attributes.checksum
    if checksum is not None and checksum.type != FULL_OBJECT:
        checksum = None
    digest, size = hashlib.md5(usedforsecurity=False), 0
    running = None if checksum is None else checksummer(checksum.algorithm)
    async with aclosing(read(services, found)) as pieces:
        async for piece in pieces:
            digest.update(piece)
            if running is not None:
                running.update(piece)
            size += len(piece)
            report.moved += len(piece)
    if size != found.size:
        return f"has {size} bytes, and not {found.size}"
    if MD5.fullmatch(found.etag) and digest.hexdigest() != found.etag:
        return f"has the MD5 {digest.hexdigest()}, and not its ETag {found.etag}"
    if checksum is not None and running is not None and running.base64() != checksum.value:
        return f"has another {checksum.algorithm} than {checksum.value}"
    return None
