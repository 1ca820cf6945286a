"""The storage backend ``shelf``: the one in memory, with a label."""

from __future__ import annotations

from bleepstore.testing.memory import Memory, MemoryBackend


class ShelfBackend(MemoryBackend):
    """A shelf is empty again when the server ends."""

    def __init__(self, label: str, memory: Memory | None = None) -> None:
        super().__init__(memory)
        self.label = label
