"""Objects as Azure's own SDK sees them, and what is left over of writes that came to nothing."""

import asyncio
import hashlib
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from azure.storage.blob import ContainerClient, ContentSettings
from azure_faults import faulty
from bleepstore.native import NativeUpload
from bleepstore.storage import Blob, Target
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_azure import backend as backend_module
from bleepstore_backend_azure.backend import AzureBackend
from faulty_http import holding
from native_writes import held_in_memory, staged

pytestmark = pytest.mark.anyio

HEADERS = {
    "content-type": "text/csv",
    "cache-control": "no-cache",
    "content-encoding": "gzip",
    "expires": "0",
}
LARGE = random_bytes(2 * MIB + 1)


@pytest.fixture
async def storage(make: Callable[..., AzureBackend]) -> AsyncIterator[AzureBackend]:
    """A backend with blocks of 1 MiB."""
    storage = make(block_mib=1)
    await storage.start(STORE, fresh=True)
    yield storage
    await storage.stop()


async def stage(storage: AzureBackend, body: bytes) -> Any:
    target = Target(bucket="bucket", key="a/key", headers=HEADERS, metadata={"with-dash": "é", "plain": "v"})
    return await staged(storage, body, target)


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
async def test_object_is_a_blob_with_type_metadata_and_digest(
    storage: AzureBackend, container: ContainerClient, body: bytes
):
    await (await stage(storage, body)).publish(expect="")
    client = container.get_blob_client("some/where/bucket/a/key")
    found = client.get_blob_properties()
    settings = found.content_settings
    assert client.download_blob(decompress=False).readall() == body
    assert (settings.content_type, settings.cache_control) == ("text/csv", "no-cache")
    assert settings.content_encoding == "gzip"
    assert bytes(settings.content_md5) == hashlib.md5(body).digest()
    assert found.metadata == {"with_x002d_dash": "=?UTF-8?B?w6k=?=", "plain": "v"}
    assert [blob.name for blob in container.list_blobs("some/where/bucket")] == [found.name]


async def test_blob_of_others_is_an_object(storage: AzureBackend, container: ContainerClient):
    client = container.get_blob_client("some/where/theirs/a key")
    client.upload_blob(b"theirs", metadata={"Name": "v"}, content_settings=ContentSettings("text/x"))
    container.get_blob_client("some/where/theirs/no-key.").upload_blob(b"a name that no key has")
    container.get_blob_client("elsewhere/b/k").upload_blob(b"not below the prefix")
    assert [name async for name in storage.buckets()] == ["theirs"]
    (found,) = [item async for item in storage.objects("theirs")]
    assert (found.key, found.size, found.etag) == ("a key", 6, hashlib.md5(b"theirs").hexdigest())
    assert dict(found.headers) == {"content-type": "text/x"}
    assert dict(found.metadata) == {"Name": "v"}
    reader = await storage.open(Blob(name=found.name, size=found.size, token=found.token))
    assert [piece async for piece in reader] == [b"theirs"]


async def test_write_that_is_cancelled_while_it_is_published_leaves_what_it_published(
    make: Callable[..., AzureBackend], emulator: str
):
    """It may have replaced what a row names: to remove it would lose both."""
    with faulty(emulator) as faults:
        storage = make(endpoint=faults.endpoint)
        await storage.start(STORE, fresh=True)
        old = await (await stage(storage, b"old")).publish(expect="")
        staged = await stage(storage, b"new")
        await staged.seal()
        come, go = threading.Event(), threading.Event()
        faults.arm(holding(come, go), method="PUT")
        publishing = asyncio.create_task(staged.publish(expect=old.token))
        assert await asyncio.to_thread(come.wait, 30)
        publishing.cancel()
        await asyncio.wait((publishing,))
        go.set()
        await staged.discard()
        found = await storage.stat(old.name)
        assert found is not None
        assert found.fingerprint == await staged.seal()
        await storage.stop()


async def test_private_blobs_of_nobody_are_removed_after_a_day(
    storage: AzureBackend, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
):
    staged = await stage(storage, LARGE)
    await staged.seal()

    def private() -> list[str]:
        return [blob.name for blob in container.list_blobs("some/where/.bleepstore/staging/")]

    assert list(await storage.abandoned()) == []
    assert len(private()) == 1
    monkeypatch.setattr(backend_module, "STALE_SECONDS", -60)
    assert list(await storage.abandoned()) == []
    assert private() == []
    await staged.discard()


async def test_blocks_of_large_parts_are_larger(storage: AzureBackend):
    upload = NativeUpload(name="0" * 32, handle="", target=Target(bucket="bucket", key="k"))
    for size, block in ((None, 1), (5 * MIB, 1), (5 * MIB + 1, 2), (20 * MIB, 4), (5 << 30, 4)):
        part = await storage.stage_part(upload, 1, secrets.token_hex(16), size=size)
        assert part.filling.size == block * MIB


async def test_write_holds_one_block_while_memory_is_scarce(make: Callable[..., AzureBackend], emulator: str):
    with faulty(emulator) as faults:
        storage = make(endpoint=faults.endpoint, block_mib=1, memory_mib=1)
        await storage.start(STORE, fresh=True)
        come, go = threading.Event(), threading.Event()
        staged = await stage(storage, b"x" * MIB)
        faults.arm(holding(come, go), method="PUT")
        writing = asyncio.create_task(staged.write(b"y" * MIB))
        assert await asyncio.to_thread(come.wait, 30)
        assert not writing.done()
        assert sum(storage.buffers._out.values()) == MIB
        go.set()
        await writing
        await held_in_memory(storage, MIB)
        blob = await staged.publish()
        assert blob.size == 2 * MIB
        del staged, writing
        await held_in_memory(storage, 0)
        await storage.stop()
