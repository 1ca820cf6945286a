"""A store whose blobs are in memory, with services as upkeep sees them and a clock that stands still."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bleepstore.exchange import Services
from bleepstore.settings import Settings
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.memory import MemoryBackend

pytest.register_assert_rewrite("bleepstore.testing.metadata")


@pytest.fixture
def make_engine(tmp_path: Path) -> Callable[[], SqliteEngine]:
    return lambda: SqliteEngine(tmp_path / "metadata.db", durable=False, token="one")


@pytest.fixture
async def store(make_engine) -> AsyncIterator[Any]:
    from bleepstore.testing.metadata import Store

    store = Store(make_engine)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def bucket(store) -> Any:
    return await store.make_bucket()


@pytest.fixture
async def storage(store) -> MemoryBackend:
    storage = MemoryBackend()
    await storage.start(store.engine.store_id, fresh=True)
    return storage


@pytest.fixture
def services(store, storage) -> Services:
    nothing: Any = None
    return Services(
        settings=Settings(),
        accounts=nothing,
        metadata=store.engine,
        storage=storage,
        authenticators=(),
        authorizers=(),
        clock=lambda: store.now,
        new_id=lambda: store.stamp()["id"],
    )


@pytest.fixture
def services_of(services) -> Callable[..., Services]:
    """The services with something else in them."""
    return lambda **other: replace(services, **other)


@pytest.fixture
def put_blob(store, storage, bucket) -> Callable[..., Any]:
    """An object whose blob is there."""

    async def put(key: str, **values: Any) -> str:
        blob = store.new_blob()
        staged = await storage.stage(blob)
        await staged.write(b"0123456789")
        await staged.publish()
        await store.put(bucket, key, blob=blob, **values)
        return blob

    return put
