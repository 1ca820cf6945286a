"""What writes hold in memory, and what becomes of those that were cancelled."""

import asyncio
import secrets
import threading
from collections.abc import Callable
from typing import Any

import pytest
from bleepstore.storage import Target
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_gcp.backend import GcpBackend
from faulty_http import holding
from gcp_stub import Stub
from native_writes import held_in_memory, staged

pytestmark = pytest.mark.anyio


async def stage(storage: GcpBackend, body: bytes) -> Any:
    return await staged(storage, body, Target(bucket="bucket", key="key"))


@pytest.mark.parametrize("body", [b"new", random_bytes(2 * MIB + 1)], ids=["small", "large"])
async def test_write_that_is_cancelled_while_it_is_published_leaves_what_it_published(
    make: Callable[..., GcpBackend], stub: Stub, body: bytes
):
    """It may have replaced what a row names: to remove it would lose both."""
    storage = make(buffer_mib=1)
    await storage.start(STORE, fresh=True)
    old = await (await stage(storage, b"old")).publish(expect="")
    staged = await stage(storage, body)
    fingerprint = await staged.seal()
    come, go = threading.Event(), threading.Event()
    stub.arm(holding(come, go), method="POST")
    publishing = asyncio.create_task(staged.publish(expect=old.token))
    assert await asyncio.to_thread(come.wait, 30)
    publishing.cancel()
    await asyncio.wait((publishing,))
    go.set()
    await staged.discard()
    found = await storage.stat(old.name)
    assert found is not None
    assert found.fingerprint == fingerprint
    assert len(stub.service.names("upstream")) == 2
    await storage.stop()


async def test_write_holds_one_buffer_while_memory_is_scarce(make: Callable[..., GcpBackend], stub: Stub):
    storage = make(buffer_mib=1, memory_mib=1)
    await storage.start(STORE, fresh=True)
    come, go = threading.Event(), threading.Event()
    staged = await stage(storage, b"x" * MIB)
    stub.arm(holding(come, go), method="PUT")
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
    reader = await storage.open(blob)
    assert b"".join([piece async for piece in reader]) == b"x" * MIB + b"y" * MIB
    await reader.close()
    await held_in_memory(storage, 0)
    await storage.stop()


@pytest.mark.parametrize("told", [0, 1, 300_000, 5 * MIB, None])
async def test_size_that_was_told_is_a_hint_only(
    make: Callable[..., GcpBackend], stub: Stub, told: int | None
):
    storage = make(buffer_mib=1)
    await storage.start(STORE, fresh=True)
    body = random_bytes(2 * MIB + 1)
    target = Target(bucket="bucket", key="key")
    staged = await storage.stage(secrets.token_hex(16), size=told, target=target)
    await staged.write(body)
    blob = await staged.publish(expect="")
    reader = await storage.open(blob)
    assert b"".join([piece async for piece in reader]) == body
    await storage.stop()


@pytest.mark.parametrize("size", [8 * MIB, 8 * MIB + 1])
async def test_body_that_fits_a_large_buffer_is_sent_at_once_while_the_sdk_does_so(
    make: Callable[..., GcpBackend], stub: Stub, size: int
):
    storage = make(buffer_mib=16)
    await storage.start(STORE, fresh=True)
    body = random_bytes(size)
    blob = await (await stage(storage, body)).publish(expect="")
    assert len([r for r in stub.seen if r.method == "PUT"]) == (size > 8 * MIB)
    reader = await storage.open(blob)
    assert b"".join([piece async for piece in reader]) == body
    await storage.stop()
