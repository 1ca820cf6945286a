"""JSON that says one thing only.

A policy with a name twice would be read one way by who wrote it and another way by who applies it, so
it is refused (RFC 8259 section 4 leaves it open); so is what JSON has no words for.
"""

from __future__ import annotations

import json
from typing import Any


def read_json(document: bytes) -> Any:
    """The value of a document in UTF-8. Raises ValueError; RecursionError where it is nested too deep."""
    return json.loads(document.decode(), object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)
