"""Names for a million keys: flat, in a thousand prefixes, and in a deep tree; by number, in byte order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PREFIXES = 1000


@dataclass(frozen=True)
class Shape:
    """One way to name ``count`` keys."""

    name: str
    key: Callable[[int, int], str]
    """Of a number and the count."""


def _flat(number: int, count: int) -> str:
    return f"object-{number:08d}"


def _prefixed(number: int, count: int) -> str:
    share = max(1, -(-count // PREFIXES))
    return f"prefix-{number // share:04d}/object-{number:08d}"


def _deep(number: int, count: int) -> str:
    digits = f"{number:0{len(str(count - 1))}d}"
    return f"{'/'.join(digits[:-2])}/object-{digits}"


FLAT = Shape("flat", _flat)
PREFIXED = Shape("prefixes", _prefixed)
DEEP = Shape("deep", _deep)
SHAPES = {shape.name: shape for shape in (FLAT, PREFIXED, DEEP)}
