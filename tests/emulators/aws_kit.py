"""The contract's kit as the AWS backend keeps it: ``test_over_*.py`` run it, one file for each upstream."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Collection

import pytest
from bleepstore.native import NativeBackend
from bleepstore.storage import Capabilities, Layout, StorageBackend
from bleepstore.testing.native_storage import NativeStorageKit, listings
from bleepstore.testing.native_storage import names as keys
from bleepstore.testing.storage import STORE, StorageFactory
from bleepstore_backend_aws import names
from bleepstore_backend_aws.backend import AwsBackend

THREADS = 8


class AwsKit(NativeStorageKit):
    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)
    keeps_case = False

    def may_refuse(self, key: str) -> bool:
        """1,024 bytes hold the prefix and the bucket too."""
        return len(names.name_of("kit", key, 10_000).encode()) > 1024 - len("some/where/1000/")

    # What an emulator spoils, said key by key: every other one is held.

    def spoils(self, key: str) -> bool:
        """Whether this upstream cannot hold a key that AWS holds."""
        return False

    @pytest.fixture(autouse=True)
    def without_what_is_spoilt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module, name in ((keys, "PATHS"), (keys, "TEXTS"), (listings, "KEYS")):
            monkeypatch.setattr(module, name, self.together(getattr(module, name)))

    def together(self, some: tuple[str, ...]) -> tuple[str, ...]:
        """Of these keys what this upstream can hold beside each other."""
        return tuple(key for key in some if not self.spoils(key))

    async def check(self, native: NativeBackend, name: str, key: str) -> None:
        if not self.spoils(key):
            await super().check(native, name, key)

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
