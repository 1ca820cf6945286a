"""What happened, for sinks.

``apply`` writes an event in the transaction of the change itself, under its sequence number; a
sink follows a cursor, so a crash loses none and repeats at most the last batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of one object. Names are those of S3 event notifications."""

    seq: int
    name: str
    """``s3:ObjectCreated:Put``, ``:Copy``, ``:CompleteMultipartUpload``, ``s3:ObjectRemoved:Delete``."""
    bucket: str
    key: str
    size: int
    etag: str
    at: int
    """Milliseconds since 1970, UTC."""


class EventSink(ABC):
    """A receiver of events. ``name`` identifies its cursor and must not change."""

    name: str

    @abstractmethod
    async def deliver(self, events: Sequence[Event]) -> None:
        """Take ``events`` in order of ``seq``. Raising keeps the cursor: they come again."""
