"""What is upstream, in an order that a listing can be resumed in."""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

from collections.abc import Iterator

import pytest

from bleepstore.native import RESERVED, NativeBackend
from bleepstore.storage import Blob
from bleepstore.testing.native_storage.cloud import BUCKET, CloudKit

KEYS = ("a", "a/b", "a-b", "a/b/c", "b", "b/", "é", "z/1", "z/2", "z/3", "\uffee", "\N{GRINNING FACE}")
"""In an order of bytes, of UTF-16 and of folders they differ."""


class ListingTests(CloudKit):
    """A listing tells every object of a bucket once, and nothing else."""

    @pytest.fixture
    async def stored(self, native: NativeBackend, names: Iterator[str]) -> dict[str, Blob]:
        """Objects of a bucket, beside other buckets with names like it."""
        for bucket in ("kit-two", "ki", "kit2"):
            await self.put_target(native, next(names), self.target("a", bucket=bucket), b"other")
        return {
            key: await self.put_target(native, next(names), self.target(key), key.encode() * n)
            for n, key in enumerate(KEYS)
        }

    async def listed(self, native: NativeBackend, **arguments: str) -> list[str]:
        """Keys, in upstream's order."""
        return [found.key async for found in native.objects(BUCKET, **arguments)]

    async def test_objects_are_told_with_size_and_token(
        self, native: NativeBackend, stored: dict[str, Blob]
    ) -> None:
        found = {one.key: one async for one in native.objects(BUCKET)}
        assert set(found) == set(KEYS)
        for key, blob in stored.items():
            one = found[key]
            assert (one.name, one.bucket, one.size, one.token) == (blob.name, BUCKET, blob.size, blob.token)
            whole = await native.stat(blob.name)
            assert whole is not None
            assert (whole.token, whole.fingerprint) == (one.token, one.fingerprint)

    async def test_every_object_is_told_once_in_a_stable_order(
        self, native: NativeBackend, stored: dict[str, Blob]
    ) -> None:
        first = await self.listed(native)
        assert sorted(first) == sorted(KEYS)
        assert await self.listed(native) == first

    async def test_listing_goes_on_after_any_object(
        self, native: NativeBackend, stored: dict[str, Blob]
    ) -> None:
        order = await self.listed(native)
        for n, key in enumerate(order, 1):
            assert await self.listed(native, after=stored[key].name) == order[n:]

    async def test_listing_goes_on_after_an_object_that_is_gone(
        self, native: NativeBackend, stored: dict[str, Blob]
    ) -> None:
        order = await self.listed(native)
        gone = stored[order[4]]
        await native.delete(gone.name, token=gone.token)
        assert await self.listed(native, after=gone.name) == order[5:]

    @pytest.mark.parametrize("prefix", ["a", "a/", "a/b", "b/", "z/", "é", "none", "/"])
    async def test_prefix_is_of_the_key(
        self, native: NativeBackend, stored: dict[str, Blob], prefix: str
    ) -> None:
        order = [key for key in await self.listed(native) if key.startswith(prefix)]
        assert await self.listed(native, prefix=prefix) == order
        for n, key in enumerate(order, 1):
            assert await self.listed(native, prefix=prefix, after=stored[key].name) == order[n:]

    async def test_buckets_are_told_once_without_bookkeeping(
        self, native: NativeBackend, stored: dict[str, Blob]
    ) -> None:
        found = [bucket async for bucket in native.buckets()]
        assert sorted(found) == sorted([BUCKET, "kit-two", "ki", "kit2"])
        assert RESERVED not in found

    async def test_bucket_without_objects_is_empty(
        self, native: NativeBackend, stored: dict[str, Blob]
    ) -> None:
        assert [found async for found in native.objects("nobody")] == []

    async def test_deleted_objects_are_not_told(self, native: NativeBackend, stored: dict[str, Blob]) -> None:
        for blob in stored.values():
            await native.delete(blob.name, token=blob.token)
        assert await self.listed(native) == []
