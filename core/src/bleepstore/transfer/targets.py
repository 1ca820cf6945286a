"""What objects are copied out to: a place that is asked whether it has one, and then given it."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator

from bleepstore.metadata import BucketRecord, ObjectRecord
from bleepstore.transfer.report import Report


class Unwritable(Exception):
    """One object cannot be put there, and others may: why, in one line."""

    def __init__(self, text: str, kind: str = "unwritable", *, answered: bool = True) -> None:
        """``kind``: as what it is told. ``answered``: by the target, which else may be silent for all."""
        super().__init__(text)
        self.kind = kind
        self.answered = answered


class State(enum.Enum):
    """What a target has of an object."""

    ABSENT = enum.auto()
    SAME = enum.auto()
    OTHER = enum.auto()
    """Something else is in its place."""


class Target(ABC):
    """A place that objects are copied out to."""

    @abstractmethod
    async def start(self, report: Report, *, dry_run: bool) -> None:
        """Make ready. Raises CannotRun."""

    @abstractmethod
    async def stop(self) -> None:
        """What was written is told to be there. Idempotent."""

    @abstractmethod
    async def bucket(self, bucket: BucketRecord) -> None:
        """Make ready for the objects of a bucket. Raises CannotRun."""

    @abstractmethod
    async def state(self, bucket: BucketRecord, row: ObjectRecord) -> State:
        """What is there of an object. Raises Unwritable."""

    @abstractmethod
    async def put(self, bucket: BucketRecord, row: ObjectRecord, pieces: AsyncGenerator[bytes, None]) -> None:
        """Write an object, whole or not at all, over what is there. Raises Unwritable, and as ``pieces``."""

    @abstractmethod
    def read(self, bucket: BucketRecord, row: ObjectRecord) -> AsyncGenerator[bytes, None]:
        """The bytes that are there. Raises Unwritable."""
