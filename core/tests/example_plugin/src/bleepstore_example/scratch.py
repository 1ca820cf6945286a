"""The metadata engine ``scratch``: the built-in one on a database that is thrown away."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bleepstore.sqlite.engine import SqliteEngine


class ScratchEngine(SqliteEngine):
    """Goes with the process, and needs no durability."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bleepstore-scratch-")
        super().__init__(Path(self._folder.name) / "metadata.db", durable=False)

    async def stop(self) -> None:
        await super().stop()
        self._folder.cleanup()
