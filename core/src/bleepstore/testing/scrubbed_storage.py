"""The conformance kit of storage backends that can be scrubbed: see ``bleepstore.testing.storage``."""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bleepstore.storage import ENDINGS, Aside, BlobMissing, StorageBackend
from bleepstore.testing.storage import STORE, OpaqueStorageKit, StorageFactory


class ScrubbedStorageKit(OpaqueStorageKit):
    """The kit of one that can be scrubbed: it can tell what it stores, and set it aside."""

    def test_it_can_be_scrubbed(self, make_backend: StorageFactory) -> None:
        assert make_backend().capabilities.scrub

    async def test_everything_stored_is_named_by_slices(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        put = {(await self.put(storage, next(names), b"x")).name for _ in range(30)}
        gone = sorted(put)[0]
        await storage.delete(gone)
        assert sorted(await storage.names(ENDINGS)) == sorted(put - {gone})
        slices = (range(0x20), range(0x20, 0x21), range(0x21, 0xFF), range(0xFF, 0x100))
        found = [name for slice in slices for name in await storage.names(slice)]
        assert sorted(found) == sorted(put - {gone})
        assert all(0x21 <= int(name[-2:], 16) < 0xFF for name in await storage.names(slices[2]))

    async def test_write_is_in_flight_until_it_is_settled_or_discarded(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        settled, discarded = next(names), next(names)
        first, second = await self.stage(storage, settled), await self.stage(storage, discarded)
        for staged in (first, second):
            await staged.write(b"x")
            await staged.publish()
            assert staged.name in await storage.in_flight()
            assert staged.name in await storage.names(ENDINGS)
        await first.settle()
        await second.discard()
        # Nobody waits for what is noted of a settled write.
        async with asyncio.timeout(10):
            while settled in await storage.in_flight():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert discarded not in await storage.in_flight()
        assert list(await storage.names(ENDINGS)) == [settled]

    async def test_writes_of_dead_processes_stay_in_flight_until_they_are_resolved(
        self, make_backend: StorageFactory, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        staged = await self.stage(storage, next(names))
        await staged.write(b"cut off")
        await staged.publish()
        await storage.stop()
        again = make_backend()
        await again.start(STORE, fresh=False)
        assert set(await again.abandoned()) <= set(await again.in_flight())
        await again.stop()

    @pytest.mark.parametrize("where", Aside)
    async def test_what_was_set_aside_is_missing_and_kept(
        self, make_backend: StorageFactory, storage: StorageBackend, names: Iterator[str], where: Aside
    ) -> None:
        """Also after a restart, and when something of its name was set aside before."""
        name, other = next(names), await self.put(storage, next(names), b"other")
        places = []
        for data in (b"first", b"second"):
            blob = await self.put(storage, name, data)
            places.append(await storage.set_aside(name, where))
            with pytest.raises(BlobMissing):
                await storage.open(blob)
        assert len(set(places)) == 2
        assert all(place is not None and name in place for place in places)
        assert await storage.set_aside(name, where) is None
        assert list(await storage.names(ENDINGS)) == [other.name]
        await storage.delete(name)
        await storage.stop()
        again = make_backend()
        await again.start(STORE, fresh=False)
        assert list(await again.names(ENDINGS)) == [other.name]
        assert await self.read(again, other) == b"other"
        await again.stop()
