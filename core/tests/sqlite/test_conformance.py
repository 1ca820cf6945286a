"""The built-in engine passes its own kit: as the writer, and as a worker that sends its commands to it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bleepstore.metadata import MetadataEngine
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.metadata import MetadataKit


class TestWriter(MetadataKit):
    @pytest.fixture
    def make_engine(self, tmp_path: Path) -> Callable[[], MetadataEngine]:
        return lambda: SqliteEngine(tmp_path / "metadata.db", durable=False)


class Worker(SqliteEngine):
    """An engine beside the one that has the writer role."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, durable=False, token="one")
        self.writer = SqliteEngine(path, durable=False, token="one")

    async def start(self) -> None:
        await self.writer.start()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await self.writer.stop()


class TestWorker(MetadataKit):
    @pytest.fixture
    def make_engine(self, tmp_path: Path) -> Callable[[], MetadataEngine]:
        return lambda: Worker(tmp_path / "metadata.db")
