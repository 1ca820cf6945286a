"""The bytes of an object, from wherever its segments are, as a reply body.

A stream holds back the removal of blobs for as long as it lives, and closes what it opened on every
path. Whatever fits into one piece is read before the status is sent, so that damage there is an
error and not a broken connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack

from bleepstore.exchange import BodyStream, Exchange
from bleepstore.http.ranges import Span
from bleepstore.metadata import ObjectRecord, Segment
from bleepstore.storage import Blob, BlobMissing, BlobReader

AT_ONCE = 256 * 1024
"""Bytes of one blob that are read before the status line."""


async def object_body(x: Exchange, found: ObjectRecord, span: Span) -> bytes | BodyStream:
    """The bytes of ``span``. Raises StorageFault for what is known before the first byte."""
    if span.length == 0:
        return b""
    if found.inline and found.data is not None:
        if span.length == found.size:
            return found.data
        return found.data[span.start : span.start + span.length]
    segments = await segments_of(x, found, span)
    if len(segments) == 1 and segments[0].inline:
        return await _inline(x, segments[0])
    stream = SegmentStream(x, segments)
    try:
        await stream.open()
        if len(segments) == 1 and span.length <= AT_ONCE:
            data = b"".join([piece async for piece in stream])
            await stream.aclose()
            return data
    except BaseException:
        await stream.aclose()
        raise
    return stream


async def segments_of(x: Exchange, found: ObjectRecord, span: Span) -> Sequence[Segment]:
    """The segments that make ``span`` of an object."""
    if found.segments is not None and found.blob is None:
        return await x.services.metadata.segments(found.segments, start=span.start, length=span.length)
    if found.blob is None or span.length == 0:
        return ()
    return (
        Segment(
            blob=found.blob,
            blob_size=found.size,
            offset=span.start,
            length=span.length,
            inline=found.inline,
            token=found.token,
        ),
    )


class SegmentStream:
    """A :class:`~bleepstore.exchange.BodyStream` over segments, one open at a time."""

    def __init__(self, x: Exchange, segments: Sequence[Segment]) -> None:
        self._x = x
        self._segments = segments
        self._reader: BlobReader | None = None
        self._held = ExitStack()
        self._held.enter_context(x.services.metadata.reading())

    async def open(self) -> None:
        """Open the first segment: whether it is there is known before the status is sent."""
        if self._segments and not self._segments[0].inline:
            self._reader = await self._open(self._segments[0])

    async def _open(self, segment: Segment) -> BlobReader:
        blob = Blob(name=segment.blob, size=segment.blob_size, token=segment.token)
        return await self._x.services.storage.open(blob, segment.offset, segment.length)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces in order."""
        for segment in self._segments:
            if segment.inline:
                yield await _inline(self._x, segment)
                continue
            reader = self._reader or await self._open(segment)
            self._reader = reader
            async for piece in reader:
                yield piece
            self._reader = None
            await reader.close()

    async def aclose(self) -> None:
        """Release everything. Idempotent."""
        reader, self._reader = self._reader, None
        self._held.close()
        if reader is not None:
            await reader.close()


async def _inline(x: Exchange, segment: Segment) -> bytes:
    data = await x.services.metadata.inline_data(segment.blob)
    if data is None:
        raise BlobMissing(segment.blob)
    return data[segment.offset : segment.offset + segment.length]
