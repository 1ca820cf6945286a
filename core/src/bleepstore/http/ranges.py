"""The ``Range`` header as a pure function (RFC 9110 section 14).

S3 serves one range. A header it cannot read, another unit, or several ranges are ignored, and the
whole object is served.
"""

from __future__ import annotations

from dataclasses import dataclass

from bleepstore.errors import S3Error


@dataclass(frozen=True, slots=True)
class Span:
    """``length`` bytes from ``start``."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The ``Content-Range`` of a 206."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


class Unsatisfiable(Exception):
    """The range lies outside: 416, with ``Content-Range: bytes */SIZE`` and ``ActualObjectSize``."""


def parse_range(header: str | None, size: int) -> Span | None:
    """The span of ``size`` bytes that a Range header asks for; ``None`` for the whole.

    Raises :class:`Unsatisfiable`; any range of an empty object is.
    """
    if header is None:
        return None
    unit, equals, ranges = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    first, dash, last = ranges.partition("-")
    first, last = first.strip(), last.strip()
    if not dash or not (first or last) or not _number(first) or not _number(last):
        return None
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise Unsatisfiable
        return Span(size - length, length)
    start = int(first)
    end = int(last) if last else size - 1
    if last and end < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, min(end, size - 1) - start + 1)


def invalid_range(header: str, size: int) -> S3Error:
    """The 416 for an :class:`Unsatisfiable` range of an object of ``size`` bytes."""
    return S3Error(
        "InvalidRange",
        headers={"content-range": f"bytes */{size}"},
        RangeRequested=header,
        ActualObjectSize=str(size),
    )


def parse_copy_range(header: str, size: int) -> Span:
    """The span that ``x-amz-copy-source-range`` names of a source of ``size`` bytes.

    Nothing is clamped or ignored here: raises S3Error InvalidArgument.
    """
    first, _dash, last = header.removeprefix("bytes=").partition("-")
    if not header.startswith("bytes=") or not (first and last and _number(first) and _number(last)):
        raise S3Error(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last "
            "are the zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    start, end = int(first), int(last)
    if not start <= end < size:
        raise S3Error(
            "InvalidArgument",
            f"Range specified is not valid for source object of size: {size}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    return Span(start, end - start + 1)


def _number(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdecimal() and len(text) <= 20)
