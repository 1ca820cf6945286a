"""The Azure backend keeps the contract, over an emulator, and the manners of plugins."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import pytest
from bleepstore.storage import Capabilities, Layout, StorageBackend
from bleepstore.testing.native_storage import NativeStorageKit
from bleepstore.testing.plugin_hygiene import PluginHygiene
from bleepstore.testing.storage import STORE, StorageFactory
from bleepstore_backend_azure import names
from bleepstore_backend_azure.backend import AzureBackend
from bleepstore_backend_azure.plugin import AzureSettings


class TestAzureBackend(NativeStorageKit):
    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)
    kept_headers = NativeStorageKit.kept_headers - {"expires"}
    copies_parts = False
    """Azurite has no Put Block From URL; ``test_multipart.py`` has a stub before it that has."""

    def may_refuse(self, key: str) -> bool:
        """1,024 characters hold the prefix and the bucket too."""
        return len(names.order(names.name_of("kit", key, 10_000))) // 2 > names.LONGEST - len("some/where/")

    @pytest.fixture
    def make_backend(self, make: Callable[..., AzureBackend]) -> StorageFactory:
        return functools.partial(make, threads=8)

    @pytest.fixture
    async def storage(self, make_backend: StorageFactory) -> AsyncIterator[StorageBackend]:
        """A started backend that has made all its connections: the kit counts what is open."""
        storage = make_backend()
        assert isinstance(storage, AzureBackend)
        await storage.start(STORE, fresh=True)
        threads = make_backend.keywords["threads"]
        met = threading.Barrier(threads)

        def connect() -> None:
            marker = storage.blob(names.STORE)
            marker.download_blob(raw_response_hook=lambda _: met.wait(30)).readall()

        await asyncio.gather(*(storage.calls.run("a connection", connect) for _ in range(threads)))
        yield storage
        await storage.stop()

    def traces(self, storage: StorageBackend) -> Collection[str]:
        """All blobs, also those that have blocks only, but the store's id."""
        assert isinstance(storage, AzureBackend)
        found = storage.container.list_blobs(include=["uncommittedblobs"])
        return [blob.name for blob in found if not blob.name.endswith("/.bleepstore/store")]


class TestPlugin(PluginHygiene):
    name = "azure"

    def section(self, spec: Any) -> Any:
        return AzureSettings(container="objects", account="nobody")
