"""The backend in memory keeps the contract: the kit's second caller."""

from collections.abc import Collection

import pytest
from bleepstore.storage import Capabilities, Layout, StorageBackend
from bleepstore.testing.memory import Memory, MemoryBackend
from bleepstore.testing.scrubbed_storage import ScrubbedStorageKit
from bleepstore.testing.storage import StorageFactory


class TestMemoryBackend(ScrubbedStorageKit):
    capabilities = Capabilities(layout=Layout.OPAQUE, inline=True, scrub=True)

    @pytest.fixture
    def make_backend(self) -> StorageFactory:
        memory = Memory()
        return lambda: MemoryBackend(memory)

    def traces(self, storage: StorageBackend) -> Collection[str]:
        assert isinstance(storage, MemoryBackend)
        return storage.memory.blobs
