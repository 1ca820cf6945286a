"""The backends in memory keep the contract: the kit's second caller, and its first of native layout."""

from collections.abc import Collection

import pytest
from bleepstore.storage import Capabilities, Layout, StorageBackend
from bleepstore.testing.memory import Memory, MemoryBackend, NativeMemoryBackend
from bleepstore.testing.native_storage import NativeStorageKit
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


class TestNativeMemoryBackend(NativeStorageKit):
    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)

    @pytest.fixture
    def make_backend(self) -> StorageFactory:
        memory = Memory()
        return lambda: NativeMemoryBackend(memory)

    def traces(self, storage: StorageBackend) -> Collection[str]:
        assert isinstance(storage, NativeMemoryBackend)
        return storage.memory.blobs
