"""The shelf keeps the contract of storage: every test is inherited."""

import pytest
from bleepstore.storage import Capabilities, Layout
from bleepstore.testing.memory import Memory
from bleepstore.testing.scrubbed_storage import ScrubbedStorageKit
from bleepstore.testing.storage import StorageFactory
from bleepstore_example.shelf import ShelfBackend


class TestShelf(ScrubbedStorageKit):
    capabilities = Capabilities(layout=Layout.OPAQUE, inline=True, scrub=True)

    @pytest.fixture
    def make_backend(self) -> StorageFactory:
        memory = Memory()
        return lambda: ShelfBackend("top", memory)
