"""The native backend in memory keeps the contract, and its upstream can be broken on purpose."""

import asyncio
from collections.abc import Collection

import pytest
from bleepstore.storage import Blob, Capabilities, Layout, StorageBackend, Target, TokenMismatch, Unavailable
from bleepstore.testing.memory_native import NativeMemoryBackend
from bleepstore.testing.memory_upstream import Upstream
from bleepstore.testing.native_storage import NativeStorageKit
from bleepstore.testing.storage import STORE, StorageFactory

pytestmark = pytest.mark.anyio


class TestNativeMemoryBackend(NativeStorageKit):
    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)
    part_size = 70_000
    most_memory = None

    @pytest.fixture(
        params=[
            pytest.param({}, id="generations"),
            pytest.param({"content_tokens": True, "page": 2}, id="ETags"),
            pytest.param({"parts_are_blobs": True}, id="parts are blobs"),
            pytest.param({"longest": 100, "copies": False}, id="short names, no copies"),
        ]
    )
    def upstream(self, request: pytest.FixtureRequest) -> Upstream:
        return Upstream(**request.param)

    @pytest.fixture
    def make_backend(self, upstream: Upstream) -> StorageFactory:
        # What this upstream cannot do, a plugin's class would say.
        self.copies = self.copies_parts = upstream.copies  # type: ignore[misc]
        self.longest = upstream.longest or 10_000
        return lambda: NativeMemoryBackend(upstream)

    def may_refuse(self, key: str) -> bool:
        return len(f"kit/{key}".encode()) > self.longest

    def traces(self, storage: StorageBackend) -> Collection[str]:
        assert isinstance(storage, NativeMemoryBackend)
        return storage.upstream.traces()


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def backend(upstream: Upstream) -> NativeMemoryBackend:
    backend = NativeMemoryBackend(upstream)
    await backend.start(STORE, fresh=True)
    return backend


async def put(backend: NativeMemoryBackend, data: bytes, *, expect: str | None = None) -> Blob:
    staged = await backend.stage("0" * 32, target=Target(bucket="b", key="k"))
    try:
        await staged.write(data)
        return await staged.publish(expect=expect)
    except BaseException:
        await staged.discard()
        raise


async def test_what_somebody_else_writes_is_another_state(
    upstream: Upstream, backend: NativeMemoryBackend
) -> None:
    blob = await put(backend, b"ours")
    upstream.put("b", "k", b"theirs", headers={"content-type": "text/plain"})
    with pytest.raises(TokenMismatch):
        await backend.open(blob)
    found = await backend.stat("b/k")
    assert found is not None
    assert found.headers == {"content-type": "text/plain"}
    assert upstream.objects["b/k"].token == found.token


async def test_calls_fail_as_often_as_asked(upstream: Upstream, backend: NativeMemoryBackend) -> None:
    upstream.fail("publish", Unavailable("down"), times=2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await put(backend, b"data")
        assert upstream.traces() == []
    await put(backend, b"data")
    assert [point for point, _ in upstream.calls].count("publish") == 3


async def test_answer_can_be_lost_after_the_effect(upstream: Upstream, backend: NativeMemoryBackend) -> None:
    blob = await put(backend, b"data")
    upstream.fail("delete answered", Unavailable("nobody knows"))
    with pytest.raises(Unavailable):
        await backend.delete(blob.name, token=blob.token)
    assert upstream.objects == {}


async def test_somebody_can_be_faster_between_two_calls(
    upstream: Upstream, backend: NativeMemoryBackend
) -> None:
    upstream.when("publish", lambda: upstream.put("b", "k", b"faster"))
    with pytest.raises(TokenMismatch):
        await put(backend, b"slower", expect="")
    assert upstream.objects["b/k"].data == b"faster"


async def test_call_waits_at_its_point_until_it_is_resumed(
    upstream: Upstream, backend: NativeMemoryBackend
) -> None:
    pause = upstream.pause("publish")
    putting = asyncio.create_task(put(backend, b"data"))
    await pause.reached.wait()
    assert upstream.objects == {}
    assert list(upstream.staged) == ["0" * 32]
    pause.resume()
    await putting
    assert upstream.objects["b/k"].data == b"data"


async def test_killed_process_cleans_nothing_up(upstream: Upstream, backend: NativeMemoryBackend) -> None:
    upstream.when("publish answered", upstream.kill)
    with pytest.raises(Unavailable):
        await put(backend, b"data")
    assert upstream.objects["b/k"].data == b"data", "discard did not reach upstream"
    with pytest.raises(Unavailable):
        await backend.stat("b/k")
    again = NativeMemoryBackend(upstream)
    await again.start(STORE, fresh=False)
    assert await again.stat("b/k") is not None


async def test_what_was_asked_and_did_not_happen_is_forgotten(
    upstream: Upstream, backend: NativeMemoryBackend
) -> None:
    upstream.fail("*", Unavailable("down"), times=1000)
    upstream.heal()
    await put(backend, b"data")
