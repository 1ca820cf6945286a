"""The GCP backend keeps the contract, over a strict service and an emulator, and the manners of plugins."""

import asyncio
import functools
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, ClassVar

import pytest
from bleepstore.storage import Capabilities, Layout, StorageBackend
from bleepstore.testing.native_storage import NativeStorageKit
from bleepstore.testing.plugin_hygiene import PluginHygiene
from bleepstore.testing.storage import STORE, StorageFactory
from bleepstore_backend_gcp import names
from bleepstore_backend_gcp.backend import GcpBackend
from bleepstore_backend_gcp.plugin import GcpSettings
from gcp import BUCKET


class GcpKit(NativeStorageKit):
    cannot: ClassVar[dict[str, str]] = {}
    """Tests that fail over an upstream, and why: one that passes is a failure."""
    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)
    kept_headers = NativeStorageKit.kept_headers - {"expires"}
    copies_parts = False
    """The service copies whole objects."""

    @pytest.fixture
    async def storage(self, make_backend: StorageFactory) -> AsyncIterator[StorageBackend]:
        """A started backend that has made all its connections: the kit counts what is open."""
        storage = make_backend()
        assert isinstance(storage, GcpBackend)
        await storage.start(STORE, fresh=True)
        met = threading.Barrier(storage.section.threads)

        def connect() -> None:
            url = f"{storage.section.endpoint}/storage/v1/b/{BUCKET}/o?maxResults=1"
            with storage.session.get(url, stream=True) as answer:
                met.wait(30)
                answer.content  # noqa: B018 - read to its end, so that the connection is kept

        await asyncio.gather(
            *(storage.calls.run("a connection", connect) for _ in range(storage.section.threads))
        )
        yield storage
        await storage.stop()

    def traces(self, storage: StorageBackend) -> Collection[str]:
        """All objects but the store's id."""
        assert isinstance(storage, GcpBackend)
        found = storage.bucket.list_blobs(prefix=storage._prefix)
        return [item.name for item in found if not item.name.endswith(f"/{names.STORE}")]

    def may_refuse(self, key: str) -> bool:
        """What is too long with its escapes, the prefix and the bucket."""
        return len(f"some/where/kit/{names._escape(key)}".encode()) > names.LONGEST


class TestGcpBackend(GcpKit):
    """Over the strict stub."""

    most_memory = None
    """What is stored is in this process: the class below holds the bound."""

    @pytest.fixture
    def make_backend(self, make: Callable[..., GcpBackend]) -> StorageFactory:
        return functools.partial(make, threads=8)


class TestGcpBackendOverAnEmulator(GcpKit):
    """Over fake-gcs-server, which minds generations where something is uploaded or read only."""

    cannot: ClassVar = {
        "test_copy_over_another_state_is_refused_and_changes_nothing[]": "rewrites whatever is there",
        "test_deleting_another_state_is_refused": "deletes whatever is there",
        "test_discarding_leaves_what_another_has_published_since": "deletes whatever is there",
        "test_one_of_two_completing_on_the_same_state_wins": "composes over whatever is there",
        "test_source_that_is_another_meanwhile_is_missing[after the seal-replaced]": "copies what is there",
        "test_upload_that_lost_its_condition_can_be_completed_again[-asked again]": "composes over it",
        "test_upload_that_lost_its_condition_can_be_completed_again[-begun anew]": "composes over it",
    }
    """What it does wrong, by the test that fails and must: the class above holds all of them."""

    @pytest.fixture
    def make_backend(self, emulator: str) -> StorageFactory:
        section = GcpSettings(
            bucket=BUCKET, prefix=f"some/where/{secrets.token_hex(4)}", endpoint=emulator, threads=8
        )
        return lambda: GcpBackend(section)

    def may_refuse(self, key: str) -> bool:
        """The prefix is longer."""
        return super().may_refuse(f"/12345678{key}")


class TestPlugin(PluginHygiene):
    name = "gcp"

    def section(self, spec: Any) -> Any:
        return GcpSettings(bucket="objects")
