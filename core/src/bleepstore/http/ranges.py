"""The ``Range`` header as a pure function (RFC 9110 section 14).

S3 serves one range. A header it cannot read, another unit, or several ranges are ignored, and the
whole object is served.
"""

from __future__ import annotations

from dataclasses import dataclass


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


def _number(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdecimal() and len(text) <= 20)
