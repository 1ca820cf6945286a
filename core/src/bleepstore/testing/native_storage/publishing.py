"""Publishing and deleting on a token."""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from bleepstore.native import NativeBackend
from bleepstore.storage import Blob, BlobMissing, Layout, StorageBackend, StorageFault, TokenMismatch
from bleepstore.testing.native_storage.cloud import BUCKET, CloudKit
from bleepstore.testing.storage import MIB, StorageFactory, random_bytes


class PublishingTests(CloudKit):
    """What is upstream changes by token only, and is read by token only."""

    def test_layout_is_native(self, make_backend: StorageFactory) -> None:
        assert make_backend().capabilities.layout is Layout.NATIVE

    async def test_write_without_a_target_is_a_fault(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        with pytest.raises(StorageFault):
            await storage.stage(next(names))

    async def test_publishing_names_the_object_and_gives_a_token(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        blobs = [await self.put(storage, next(names), b"the same", key="a key") for _ in range(3)]
        assert {blob.name for blob in blobs} == {blobs[0].name}
        assert None not in {blob.token for blob in blobs}

    async def test_old_object_is_whole_until_the_new_one_is_published(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        old = await self.put(storage, next(names), b"old", key="a key")
        staged = await self.stage(storage, next(names), key="a key")
        await staged.write(random_bytes(MIB))
        assert await self.read(storage, old) == b"old"
        await staged.discard()
        assert await self.read(storage, old) == b"old"

    async def test_read_of_a_replaced_state_is_refused(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        old = await self.put(storage, next(names), b"old", key="a key")
        new = await self.put(storage, next(names), b"new", key="a key")
        with pytest.raises(TokenMismatch):
            await storage.open(old)
        assert await self.read(storage, new) == b"new"

    @pytest.mark.parametrize("expect", ["", "a token of nobody"])
    async def test_publishing_over_another_state_is_refused_and_changes_nothing(
        self, storage: StorageBackend, names: Iterator[str], expect: str
    ) -> None:
        old = await self.put(storage, next(names), b"old", key="a key")
        staged = await self.stage(storage, next(names), key="a key")
        await staged.write(b"new")
        with pytest.raises(TokenMismatch):
            await self.publish(staged, expect=expect)
        await staged.discard()
        assert await self.read(storage, old) == b"old"

    async def test_publishing_where_something_was_expected_is_refused(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(storage))
        old = await self.put(storage, next(names), b"old", key="a key")
        await storage.delete(old.name, token=old.token)
        staged = await self.stage(storage, next(names), key="a key")
        await staged.write(b"new")
        with pytest.raises(TokenMismatch):
            await self.publish(staged, expect=old.token)
        await staged.discard()
        assert set(self.traces(storage)) == before

    async def test_publishing_at_the_expected_state_succeeds(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        expect: str | None = ""
        for n in range(3):
            staged = await self.stage(storage, next(names), key="a key")
            await staged.write(bytes([n]))
            blob = await self.publish(staged, expect=expect)
            await staged.settle()
            assert await self.read(storage, blob) == bytes([n])
            expect = blob.token

    async def test_publishing_is_asked_again_after_it_was_refused(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        staged = await self.stage(storage, next(names), key="a key")
        await staged.write(b"new")
        old = await self.put(storage, next(names), b"old", key="a key")
        with pytest.raises(TokenMismatch):
            await self.publish(staged, expect="")
        blob = await staged.publish(expect=old.token)
        await staged.settle()
        assert await self.read(storage, blob) == b"new"

    async def expect_cut_off(
        self, storage: StorageBackend, name: str, before: Collection[str], data: bytes
    ) -> None:
        """Nothing is left, or the whole object: nobody may remove what the core cannot know to be gone."""
        assert isinstance(storage, NativeBackend)
        place = storage.name_of(BUCKET, f"blobs/{name}")
        found = await storage.stat(place)
        if found is not None:
            blob = Blob(name=place, size=found.size, token=found.token)
            assert await self.read(storage, blob) == data
            await storage.delete(place, token=found.token)
        await self.expect_nothing(storage, name, before)

    async def test_one_of_two_publishing_on_the_same_state_wins(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        staged = [await self.stage(storage, next(names), key="a key") for _ in range(2)]
        for n, one in enumerate(staged):
            await one.write(bytes([n]))
        results: list[Any] = await asyncio.gather(
            *(self.publish(one, expect="") for one in staged), return_exceptions=True
        )
        (won,) = [n for n, result in enumerate(results) if isinstance(result, Blob)]
        (lost,) = [n for n, result in enumerate(results) if isinstance(result, TokenMismatch)]
        await staged[lost].discard()
        assert await self.read(storage, results[won]) == bytes([won])

    async def test_discarding_leaves_what_another_has_published_since(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        staged = await self.stage(storage, next(names), key="a key")
        await staged.write(b"old")
        await self.publish(staged)
        new = await self.put(storage, next(names), b"new", key="a key")
        await staged.discard()
        assert await self.read(storage, new) == b"new"

    async def test_deleting_another_state_is_refused(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        old = await self.put(storage, next(names), b"old", key="a key")
        new = await self.put(storage, next(names), b"new", key="a key")
        with pytest.raises(TokenMismatch):
            await storage.delete(old.name, token=old.token)
        assert await self.read(storage, new) == b"new"

    async def test_deleting_without_a_token_is_refused(
        self, storage: StorageBackend, names: Iterator[str]
    ) -> None:
        blob = await self.put(storage, next(names), b"kept", key="a key")
        with pytest.raises(TokenMismatch):
            await storage.delete(blob.name)
        assert await self.read(storage, blob) == b"kept"

    @pytest.mark.parametrize("removed", [False, True])
    async def test_read_under_way_never_goes_on_with_another_state(
        self, storage: StorageBackend, names: Iterator[str], *, removed: bool
    ) -> None:
        data = random_bytes(12 * MIB)
        old = await self.put(storage, next(names), data, key="a key")
        reader = await storage.open(old)
        pieces = aiter(reader)
        read = await anext(pieces)
        if removed:
            await storage.delete(old.name, token=old.token)
        else:
            await self.put(storage, next(names), random_bytes(12 * MIB, 1), key="a key")
        try:
            async for piece in pieces:
                read += piece
        except (TokenMismatch, BlobMissing):
            assert data.startswith(read)
        else:
            assert read == data
        finally:
            await reader.close()
