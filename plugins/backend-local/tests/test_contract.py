"""The local backend keeps the contract and the manners of plugins."""

from collections.abc import Collection
from pathlib import Path

import pytest
from bleepstore.storage import Capabilities, Layout, StorageBackend
from bleepstore.testing.plugin_hygiene import PluginHygiene
from bleepstore.testing.scrubbed_storage import ScrubbedStorageKit
from bleepstore.testing.storage import StorageFactory
from bleepstore_backend_local.backend import LocalBackend


class TestLocalBackend(ScrubbedStorageKit):
    capabilities = Capabilities(layout=Layout.OPAQUE, inline=True, scrub=True)
    durable = True

    @pytest.fixture
    def make_backend(self, root: Path) -> StorageFactory:
        return lambda: LocalBackend(root, durable=self.durable)

    def traces(self, storage: StorageBackend) -> Collection[str]:
        assert isinstance(storage, LocalBackend)
        probe = "0" * 32
        folders = storage.temporary(probe).parent, storage.path(probe).parent.parent
        return [path.name for folder in folders for path in folder.rglob("*") if path.is_file()]


class TestRelaxedLocalBackend(TestLocalBackend):
    durable = False


class TestPlugin(PluginHygiene):
    name = "local"
