"""The AWS backend keeps the contract, over each of three upstreams, and the manners of plugins."""

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
from bleepstore_backend_aws import names
from bleepstore_backend_aws.backend import AwsBackend
from bleepstore_backend_aws.plugin import AwsSettings

THREADS = 8


class AwsKit(NativeStorageKit):
    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)

    @pytest.fixture
    def make_backend(self, make: Callable[..., AwsBackend]) -> StorageFactory:
        return functools.partial(make, threads=THREADS)

    @pytest.fixture
    async def storage(self, make_backend: StorageFactory) -> AsyncIterator[StorageBackend]:
        """A started backend that has made all its connections: the kit counts what is open."""
        storage = make_backend()
        assert isinstance(storage, AwsBackend)
        await storage.start(STORE, fresh=True)
        met = threading.Barrier(THREADS)

        def connect() -> None:
            answer = storage.upstream.client.get_object(**storage.upstream.at(names.STORE))
            met.wait(30)
            answer["Body"].read()

        await asyncio.gather(*(storage.calls.run("a connection", connect) for _ in range(THREADS)))
        yield storage
        await storage.stop()

    def traces(self, storage: StorageBackend) -> Collection[str]:
        """All objects but the store's id, and all uploads."""
        assert isinstance(storage, AwsBackend)
        place = {"Bucket": storage.upstream.bucket, "Prefix": storage.upstream.prefix}
        client = storage.upstream.client
        objects = client.list_objects_v2(**place).get("Contents", ())
        uploads = client.list_multipart_uploads(**place).get("Uploads", ())
        keys = [found["Key"] for found in objects if not found["Key"].endswith(names.STORE)]
        return [*keys, *(found["UploadId"] for found in uploads)]


class TestOverMoto(AwsKit):
    @pytest.fixture
    def upstream_name(self) -> str:
        return "moto"


class TestOverSeaweedFS(AwsKit):
    @pytest.fixture
    def upstream_name(self) -> str:
        return "seaweedfs"


class TestOverBleepStore(AwsKit):
    @pytest.fixture
    def upstream_name(self) -> str:
        return "bleepstore"


class TestPlugin(PluginHygiene):
    name = "aws"

    def section(self, spec: Any) -> Any:
        return AwsSettings(bucket="objects")
