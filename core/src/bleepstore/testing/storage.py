"""The conformance kit of storage backends.

A backend's author writes one class with one fixture and inherits every test::

    from bleepstore.testing.storage import OpaqueStorageKit, StorageFactory

    class TestShelf(OpaqueStorageKit):
        capabilities = Capabilities(layout=Layout.OPAQUE, inline=True)

        @pytest.fixture
        def make_backend(self, tmp_path: Path) -> StorageFactory:
            return lambda: ShelfBackend(tmp_path)

``make_backend`` makes an instance that has not been started; each call makes another over the same
stored data, as a restarted server does. A backend of native layout inherits
``bleepstore.testing.native_storage.NativeStorageKit``, one that can be scrubbed
``bleepstore.testing.scrubbed_storage.ScrubbedStorageKit``. Override :meth:`StorageKit.traces` wherever
one can look at what is stored: the kit then sees leftovers that no read would find.

Needs pytest, hypothesis, and anyio's pytest plugin, which comes with the core.
``pytest.register_assert_rewrite("bleepstore.testing.storage")`` in a ``conftest.py`` makes failed
assertions tell what they compared.
"""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from pathlib import Path
from typing import ClassVar, TypeAlias

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from bleepstore.storage import (
    Blob,
    BlobMissing,
    Capabilities,
    Layout,
    StagedBlob,
    StorageBackend,
    StoreMismatch,
    Target,
    TokenMismatch,
)

StorageFactory: TypeAlias = Callable[[], StorageBackend]

STORE = "0123456789abcdef0123456789abcdef"
KIB = 1024
MIB = 1024 * KIB
MOST_AT_ONCE = MIB + 64 * KIB
"""The longest piece that a reader may yield."""
SIZE = 2 * MIB + 12_345
"""Length of the blob of which spans are read: it ends inside a block of any power of two."""

_edges = st.builds(int.__add__, st.sampled_from((64 * KIB, MIB, 2 * MIB, SIZE)), st.integers(-2, 2))
_places = st.one_of(st.integers(0, SIZE + 10), _edges, st.integers(0, 3))
_lengths = st.one_of(st.none(), _places)
patient = examples(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def random_bytes(size: int, seed: int = 0) -> bytes:
    """``size`` bytes that look like nothing, the same for the same seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


class StorageKit:
    """What every backend promises, whatever its layout; inherit the class of yours."""

    capabilities: ClassVar[Capabilities]
    """What the backend is expected to be able to do: one that it has lost is a failure."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_backend(self) -> StorageFactory:
        """Return a function that makes an instance over the same stored data at each call."""
        raise NotImplementedError("a class of the kit has a fixture named make_backend")

    def traces(self, storage: StorageBackend) -> Collection[str]:
        """Names of whatever is stored now, published or not; none where nobody can look."""
        return ()

    # --- what the tests stand on ------------------------------------------------------------------

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The event loop of the server."""
        return "asyncio"

    @pytest.fixture
    def names(self) -> Iterator[str]:
        """New names, as the core makes them."""
        return (f"{n:012x}{random.randbytes(10).hex()}" for n in itertools.count(1))  # noqa: S311

    @pytest.fixture
    async def storage(self, make_backend: StorageFactory) -> AsyncIterator[StorageBackend]:
        """A started backend."""
        storage = make_backend()
        await storage.start(STORE, fresh=True)
        yield storage
        await storage.stop()

    async def stage(
        self, storage: StorageBackend, name: str, *, key: str | None = None, size: int | None = None
    ) -> StagedBlob:
        """Begin a write as the core does for the backend's layout."""
        target = None
        if storage.capabilities.layout is Layout.NATIVE:
            headers = {"content-type": "text/plain"}
            target = Target(bucket="kit", key=key or f"blobs/{name}", headers=headers, metadata={"a": "b"})
        return await storage.stage(name, size=size, target=target)

    async def publish(self, staged: StagedBlob, *, expect: str | None = None) -> Blob:
        """Publish what is written as the core does for the backend's layout."""
        return await staged.publish(expect=expect)

    async def put(self, storage: StorageBackend, name: str, *pieces: bytes, key: str | None = None) -> Blob:
        """Write and publish a blob as the core does."""
        staged = await self.stage(storage, name, key=key, size=sum(map(len, pieces)))
        try:
            for piece in pieces:
                await staged.write(piece)
            blob = await self.publish(staged)
        except BaseException:
            await staged.discard()
            raise
        await staged.settle()
        return blob

    async def read(
        self, storage: StorageBackend, blob: Blob, start: int = 0, length: int | None = None
    ) -> bytes:
        """The bytes of a span."""
        reader = await storage.open(blob, start, length)
        try:
            return b"".join([piece async for piece in reader])
        finally:
            await reader.close()

    # --- capabilities and identity ----------------------------------------------------------------

    def test_capabilities_are_those_expected(self, make_backend: StorageFactory) -> None:
        assert make_backend().capabilities == self.capabilities

    async def test_store_id_is_kept(self, make_backend: StorageFactory, storage: StorageBackend) -> None:
        await storage.stop()
        for _ in range(2):
            again = make_backend()
            await again.start(STORE, fresh=False)
            await again.stop()

    @pytest.mark.parametrize("fresh", [True, False])
    async def test_another_store_is_refused_and_nothing_is_lost(
        self, make_backend: StorageFactory, storage: StorageBackend, names: Iterator[str], fresh: bool
    ) -> None:
        blob = await self.put(storage, next(names), b"kept")
        await storage.stop()
        stranger = make_backend()
        with pytest.raises(StoreMismatch):
            await stranger.start("f" * 32, fresh=fresh)
        await stranger.stop()
        again = make_backend()
        await again.start(STORE, fresh=False)
        assert await self.read(again, blob) == b"kept"
        await again.stop()

    async def test_an_empty_place_beside_other_metadata_is_refused(
        self, make_backend: StorageFactory
    ) -> None:
        backend = make_backend()
        with pytest.raises(StoreMismatch):
            await backend.start(STORE, fresh=False)
        await backend.stop()

    async def test_stop_is_idempotent(self, storage: StorageBackend) -> None:
        await storage.stop()
        await storage.stop()

    # --- writing ----------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 3 * MIB + 1])
    async def test_bytes_are_those_written_and_stay_after_reopening(
        self, make_backend: StorageFactory, storage: StorageBackend, names: Iterator[str], size: int
    ) -> None:
        data = random_bytes(size)
        blob = await self.put(storage, next(names), *([data] if data else []))
        assert blob.size == size
        assert await self.read(storage, blob) == data
        await storage.stop()
        again = make_backend()
        await again.start(STORE, fresh=False)
        assert await self.read(again, blob) == data
        await again.stop()

    @patient
    @given(sizes=st.lists(st.one_of(st.integers(0, 100), _edges.map(lambda n: n // 4)), max_size=6))
    async def test_pieces_of_any_size_make_one_blob(
        self, storage: StorageBackend, names: Iterator[str], sizes: list[int]
    ) -> None:
        pieces = [random_bytes(size, seed) for seed, size in enumerate(sizes)]
        blob = await self.put(storage, next(names), *pieces)
        assert await self.read(storage, blob) == b"".join(pieces)
        await storage.delete(blob.name, token=blob.token)

    async def test_buffer_may_be_reused_after_write(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        staged = await self.stage(storage, next(names))
        buffer = bytearray(64 * KIB)
        for n in range(1, 5):
            buffer[:] = bytes([n]) * len(buffer)
            await staged.write(memoryview(buffer) if n % 2 else buffer)
        buffer[:] = bytes(len(buffer))
        blob = await self.publish(staged)
        await staged.settle()
        assert await self.read(storage, blob) == b"".join(bytes([n]) * len(buffer) for n in range(1, 5))

    async def test_writes_under_way_at_once_do_not_mix(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        async def write(n: int) -> tuple[Blob, bytes]:
            pieces = [random_bytes(1000 + n, 10 * n + k) for k in range(4)]
            return await self.put(storage, next(names), *pieces), b"".join(pieces)

        for blob, data in await asyncio.gather(*map(write, range(40))):
            assert await self.read(storage, blob) == data

    # --- writes that come to nothing --------------------------------------------------------------

    @pytest.mark.parametrize("pieces", [0, 1, 3])
    async def test_failed_body_leaves_nothing(
        self, storage: StorageBackend, names: Iterator[str], pieces: int
    ) -> None:
        name, before = next(names), set(self.traces(storage))
        staged = await self.stage(storage, name)
        for n in range(pieces):
            await staged.write(random_bytes(200_000, n))
        await staged.discard()
        await self.expect_nothing(storage, name, before)

    async def test_discard_is_idempotent(self, storage: StorageBackend, names: Iterator[str]) -> None:
        staged = await self.stage(storage, next(names))
        await staged.write(b"gone")
        await asyncio.gather(staged.discard(), staged.discard())
        await staged.discard()

    async def test_published_blob_can_be_discarded(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        name, before = next(names), set(self.traces(storage))
        staged = await self.stage(storage, name)
        await staged.write(b"no row will name this")
        blob = await self.publish(staged)
        await staged.discard()
        with pytest.raises((BlobMissing, TokenMismatch)):
            await storage.open(blob)
        await self.expect_nothing(storage, name, before)

    @pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
    async def test_cancelled_body_leaves_nothing_wherever_it_is_cut(
        self, storage: StorageBackend, names: Iterator[str], steps: int
    ) -> None:
        """The body is cancelled after so many turns of the loop, in whatever it does then."""
        name, before = next(names), set(self.traces(storage))
        writing = asyncio.create_task(self.put(storage, name, *[random_bytes(MIB)] * 3))
        for _ in range(steps):
            await asyncio.sleep(0)
        writing.cancel()
        try:
            blob = await writing
        except asyncio.CancelledError:
            await self.expect_cut_off(storage, name, before, random_bytes(MIB) * 3)
        else:
            assert await self.read(storage, blob) == random_bytes(MIB) * 3

    async def test_cancelled_publish_leaves_nothing_half_done(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        for turns in range(6):
            name, before = next(names), set(self.traces(storage))
            staged = await self.stage(storage, name)
            await staged.write(random_bytes(MIB))
            publishing = asyncio.create_task(self.publish(staged))
            for _ in range(turns):
                await asyncio.sleep(0)
            publishing.cancel()
            await asyncio.wait((publishing,))
            await staged.discard()
            if publishing.cancelled():
                await self.expect_cut_off(storage, name, before, random_bytes(MIB))
            else:
                await self.expect_nothing(storage, name, before)

    async def test_discard_that_is_cancelled_goes_on(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        name, before = next(names), set(self.traces(storage))
        staged = await self.stage(storage, name)
        await staged.write(random_bytes(MIB))
        discarding = asyncio.create_task(staged.discard())
        await asyncio.sleep(0)
        discarding.cancel()
        await asyncio.wait((discarding,))
        await staged.discard()
        await self.expect_nothing(storage, name, before)

    async def expect_nothing(self, storage: StorageBackend, name: str, before: Collection[str]) -> None:
        """Fail if anything is left of the write of ``name``."""
        assert set(self.traces(storage)) == set(before)

    async def expect_cut_off(
        self, storage: StorageBackend, name: str, before: Collection[str], data: bytes
    ) -> None:
        """Fail if something is left of the write of ``name`` that was cancelled and discarded."""
        await self.expect_nothing(storage, name, before)

    async def test_settled_and_discarded_writes_are_not_abandoned(
        self, make_backend: StorageFactory, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        kept, dropped = next(names), next(names)
        await self.put(storage, kept, b"kept")
        staged = await self.stage(storage, dropped)
        await staged.write(b"dropped")
        await staged.discard()
        await storage.stop()
        again = make_backend()
        await again.start(STORE, fresh=False)
        assert not {kept, dropped} & set(await again.abandoned())
        await again.stop()

    async def test_abandoned_names_are_forgotten_once_resolved(
        self, make_backend: StorageFactory, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        staged = await self.stage(storage, next(names))
        await staged.write(b"cut off")
        blob = await self.publish(staged)
        await storage.stop()
        again = make_backend()
        await again.start(STORE, fresh=False)
        abandoned = list(await again.abandoned())
        await again.delete(blob.name, token=blob.token)
        await again.resolve(abandoned)
        assert list(await again.abandoned()) == []
        await again.stop()

    # --- reading ----------------------------------------------------------------------------------

    @pytest.fixture
    async def large(self, storage: StorageBackend, names: Iterator[str]) -> tuple[Blob, bytes]:
        """A published blob of :data:`SIZE` bytes, and these."""
        data = random_bytes(SIZE)
        return await self.put(storage, next(names), data[:MIB], data[MIB:]), data

    @patient
    @given(start=_places, length=_lengths)
    async def test_span_is_what_a_slice_is(
        self, storage: StorageBackend, large: tuple[Blob, bytes], start: int, length: int | None
    ) -> None:
        blob, data = large
        end = None if length is None else start + length
        assert await self.read(storage, blob, start, length) == data[start:end]

    async def test_pieces_are_bounded(self, storage: StorageBackend, large: tuple[Blob, bytes]) -> None:
        reader = await storage.open(large[0])
        sizes = [len(piece) async for piece in reader]
        await reader.close()
        assert max(sizes) <= MOST_AT_ONCE
        assert min(sizes) > 0

    async def test_many_read_one_blob_at_once(
        self, storage: StorageBackend, large: tuple[Blob, bytes]
    ) -> None:
        blob, data = large
        spans = [(n * 50_021, 300_000) for n in range(32)]
        found = await asyncio.gather(*(self.read(storage, blob, start, length) for start, length in spans))
        assert found == [data[start : start + length] for start, length in spans]

    async def test_closing_is_idempotent_after_any_part_of_a_read(
        self, storage: StorageBackend, large: tuple[Blob, bytes]
    ) -> None:
        for taken in range(4):
            reader = await storage.open(large[0])
            pieces = aiter(reader)
            for _ in range(taken):
                await anext(pieces, b"")
            await asyncio.gather(reader.close(), reader.close())
            await reader.close()

    async def test_reads_that_are_cut_off_hold_nothing(
        self, storage: StorageBackend, large: tuple[Blob, bytes]
    ) -> None:
        async def cut_off(turns: int) -> None:
            reading = asyncio.create_task(self.read(storage, large[0]))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait((reading,))

        await cut_off(3)
        before = open_files()
        for n in range(100):
            await cut_off(n % 12)
        # What was cancelled while it was being opened is closed by whoever opened it, a little later.
        async with asyncio.timeout(10):
            while open_files() > before:  # noqa: ASYNC110 - nobody here can be woken by it
                await asyncio.sleep(0.001)

    # --- what is not there ------------------------------------------------------------------------

    async def test_deleted_blob_is_found_missing_when_opened(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(storage))
        blob = await self.put(storage, next(names), b"deleted")
        await storage.delete(blob.name, token=blob.token)
        with pytest.raises(BlobMissing):
            await storage.open(blob)
        assert set(self.traces(storage)) == before

    async def test_deleting_what_is_not_there_succeeds(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        blob = await self.put(storage, next(names), b"deleted twice")
        await storage.delete(blob.name, token=blob.token)
        await storage.delete(blob.name, token=blob.token)

    async def test_deleting_leaves_other_blobs(self, storage: StorageBackend, names: Iterator[str]) -> None:
        gone, kept = [await self.put(storage, next(names), text) for text in (b"gone", b"kept")]
        await storage.delete(gone.name, token=gone.token)
        assert await self.read(storage, kept) == b"kept"

    # --- scrub ------------------------------------------------------------------------------------

    async def test_what_is_whole_is_verified(
        self, storage: StorageBackend, large: tuple[Blob, bytes], names: Iterator[str]
    ) -> None:
        before = open_files()
        for blob in (large[0], await self.put(storage, next(names))):
            await storage.verify(blob)
        assert open_files() == before

    async def test_what_is_missing_is_not_verified(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        blob = await self.put(storage, next(names), b"deleted")
        await storage.delete(blob.name, token=blob.token)
        with pytest.raises(BlobMissing):
            await storage.verify(blob)


class OpaqueStorageKit(StorageKit):
    """The kit of a backend of opaque layout."""

    def test_layout_is_opaque(self, make_backend: StorageFactory) -> None:
        assert make_backend().capabilities.layout is Layout.OPAQUE

    async def test_blob_has_the_name_it_was_given(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        name = next(names)
        assert await self.put(storage, name, b"named") == Blob(name=name, size=5)

    async def test_nothing_is_visible_before_publish(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        name, data = next(names), random_bytes(MIB)
        staged = await self.stage(storage, name)
        for size in (0, MIB, 2 * MIB):
            with pytest.raises(BlobMissing):
                await storage.open(Blob(name=name, size=size))
            await staged.write(data)
        await staged.discard()

    async def test_blob_that_never_was_is_found_missing_when_opened(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        for size in (0, 100):
            with pytest.raises(BlobMissing):
                await storage.open(Blob(name=next(names), size=size))
        await storage.delete(next(names))

    async def expect_nothing(self, storage: StorageBackend, name: str, before: Collection[str]) -> None:
        """Fail if anything is left of the write of ``name``."""
        await super().expect_nothing(storage, name, before)
        for size in (0, MIB, 3 * MIB):
            with pytest.raises(BlobMissing):
                await storage.open(Blob(name=name, size=size))


def open_files() -> int:
    """How many file descriptors this process holds; 0 where nobody can say."""
    folder = Path("/dev/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0
