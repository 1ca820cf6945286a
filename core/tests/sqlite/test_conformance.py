"""The built-in engine passes its own kit: alone, and as the worker that is not the writer."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bleepstore.metadata import MetadataEngine
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.metadata import MetadataKit


class TestSqliteEngine(MetadataKit):
    @pytest.fixture
    def make_engine(self, tmp_path: Path) -> Callable[[], MetadataEngine]:
        return lambda: SqliteEngine(tmp_path / "metadata.db", durable=False)
