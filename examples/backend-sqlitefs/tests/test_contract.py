"""The backend keeps the contract, and the manners of plugins: these tests are inherited."""

from collections.abc import Collection
from pathlib import Path

import pytest
from bleepstore.storage import Capabilities, Layout, StorageBackend
from bleepstore.testing.plugin_hygiene import PluginHygiene
from bleepstore.testing.scrubbed_storage import ScrubbedStorageKit
from bleepstore.testing.storage import StorageFactory
from bleepstore_backend_sqlitefs.backend import SqliteFsBackend


class TestSqliteFs(ScrubbedStorageKit):
    capabilities = Capabilities(layout=Layout.OPAQUE, inline=True, scrub=True)

    @pytest.fixture
    def make_backend(self, tmp_path: Path) -> StorageFactory:
        return lambda: SqliteFsBackend(tmp_path / "folder" / "blobs.db", durable=False)

    def traces(self, storage: StorageBackend) -> Collection[str]:
        """Everything that has rows, visible or not."""
        assert isinstance(storage, SqliteFsBackend)
        rows = storage.database.all(
            "SELECT name FROM blobs UNION SELECT DISTINCT 'pieces of ' || blob FROM pieces"
        )
        return [name for (name,) in rows]


class TestPlugin(PluginHygiene):
    name = "sqlitefs"
