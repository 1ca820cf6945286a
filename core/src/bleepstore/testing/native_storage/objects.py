"""One object as upstream holds it: bytes, fingerprint, headers, metadata; and what writing it costs."""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

import pytest

from bleepstore.native import NativeBackend, NativeStaged
from bleepstore.storage import Target
from bleepstore.testing.native_storage.cloud import BUCKET, HEADERS, CloudKit, md5
from bleepstore.testing.storage import MIB, StorageFactory, random_bytes

METADATA = {
    "plain": "a value",
    "with-dash": "1",
    "with.dot": "2",
    "with_underscore": "3",
    "1digit": "4",
    "class": "a word of some languages",
    "empty": "",
    "spaces": "a  b   c",
    "quotes": 'a "quoted", value; with=signs & <angles> 100%',
    "latin": "Zoë Müller",
    "beyond": "日本語 \N{GRINNING FACE} \N{HEBREW LETTER ALEF}",
    "url": "http://example.com/a%20b?c=d#e",
    "long": "x" * 500,
}
"""User metadata as S3 has it: values are any text of one line."""
DAY = 86_400_000
HUGE = 64 * MIB


class ObjectTests(CloudKit):
    """What is written is what upstream says it has."""

    async def test_what_is_not_there_is_nothing(self, native: NativeBackend) -> None:
        assert await native.stat(native.name_of(BUCKET, "never was")) is None

    @pytest.mark.parametrize("size", [0, 1, 3 * MIB, 20 * MIB + 1])
    async def test_fingerprint_of_the_seal_is_that_of_the_object(
        self, native: NativeBackend, names: Iterator[str], size: int
    ) -> None:
        data = random_bytes(size)
        staged = await native.stage(next(names), size=size, target=self.target())
        for at in range(0, size, MIB):
            await staged.write(data[at : at + MIB])
        fingerprint = await staged.seal()
        blob = await staged.publish(expect="")
        await staged.settle()
        found = await native.stat(blob.name)
        assert found is not None
        assert (found.name, found.bucket, found.key) == (blob.name, BUCKET, "a key")
        assert (found.size, blob.size) == (size, size)
        assert found.token == blob.token
        if self.fingerprints:
            assert found.fingerprint == fingerprint
        if found.etag is not None and "-" not in found.etag:
            assert found.etag == md5(data)
        assert abs(found.modified - time.time() * 1000) < DAY

    async def test_other_bytes_have_another_fingerprint(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        found = set()
        for n in range(3):
            await self.put_target(native, next(names), self.target(), random_bytes(1000, n))
            known = await native.stat(native.name_of(BUCKET, "a key"))
            assert known is not None
            found.add(known.fingerprint)
        assert len(found) == 3

    async def test_size_need_not_be_known(self, native: NativeBackend, names: Iterator[str]) -> None:
        data = random_bytes(9 * MIB)
        staged = await native.stage(next(names), target=self.target())
        blob = await self.write(staged, data[:MIB], data[MIB:])
        assert await self.read(native, blob) == data

    async def test_nothing_is_visible_before_publish(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        name = native.name_of(BUCKET, "a key")
        for size in (0, MIB, 20 * MIB):
            staged = await native.stage(next(names), size=size, target=self.target())
            if size:
                await staged.write(random_bytes(size))
            await staged.seal()
            assert await native.stat(name) is None
            assert [found async for found in native.objects(BUCKET)] == []
            assert [bucket async for bucket in native.buckets()] == []
            await staged.discard()
        assert await native.stat(name) is None

    async def test_sealed_write_leaves_nothing_when_it_is_discarded(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(native))
        for size in (0, MIB, 20 * MIB):
            staged = await native.stage(next(names), size=size, target=self.target())
            if size:
                await staged.write(random_bytes(size))
            await staged.seal()
            await staged.discard()
            assert set(self.traces(native)) == before

    async def test_large_write_leaves_one_object_and_no_more(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(native))
        blob = await self.put_target(native, next(names), self.target(), *[random_bytes(10 * MIB)] * 2)
        await native.delete(blob.name, token=blob.token)
        assert set(self.traces(native)) == before

    # --- headers and metadata ---------------------------------------------------------------------

    async def test_headers_and_metadata_are_told_back(
        self, make_backend: StorageFactory, native: NativeBackend, names: Iterator[str]
    ) -> None:
        # Bytes that are gzip, as the header says: some clouds unpack what is so marked on the way.
        data = gzip.compress(random_bytes(3000), mtime=0)
        target = Target(bucket=BUCKET, key="a key", headers=HEADERS, metadata=METADATA)
        blob = await self.put_target(native, next(names), target, data)
        found = await native.stat(blob.name)
        assert found is not None
        expected = {name: value for name, value in HEADERS.items() if name in self.kept_headers}
        assert {name: value for name, value in found.headers.items() if name in HEADERS} == expected
        assert found.metadata == METADATA
        assert found.size == len(data)
        assert await self.read(native, blob) == data

    async def test_names_of_metadata_in_capitals_are_kept_as_declared(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        target = self.target(metadata={"Camel-Case": "x", "UPPER": "y"})
        blob = await self.put_target(native, next(names), target, b"data")
        found = await native.stat(blob.name)
        assert found is not None
        kept = target.metadata.items()
        assert found.metadata == {name if self.keeps_case else name.lower(): value for name, value in kept}

    async def test_headers_of_large_objects_are_kept_too(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        headers = {"content-type": "image/png", "cache-control": "no-cache"}
        target = Target(bucket=BUCKET, key="a key", headers=headers, metadata={"with-dash": "é"})
        blob = await self.put_target(native, next(names), target, *[random_bytes(10 * MIB)] * 2)
        found = await native.stat(blob.name)
        assert found is not None
        assert {name: found.headers.get(name) for name in headers} == headers
        assert found.metadata == {"with-dash": "é"}

    async def test_next_object_has_nothing_of_the_one_before(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        first = Target(bucket=BUCKET, key="a key", headers=HEADERS, metadata={"old": "1"})
        await self.put_target(native, next(names), first, b"first")
        blob = await self.put_target(native, next(names), self.target(metadata={"new": "2"}), b"second")
        found = await native.stat(blob.name)
        assert found is not None
        assert found.metadata == {"new": "2"}
        assert {name: value for name, value in found.headers.items() if name in HEADERS} == {
            "content-type": "text/plain"
        }

    # --- bounds -----------------------------------------------------------------------------------

    async def test_memory_is_bounded_whatever_the_size(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        staged = await native.stage(next(names), size=HUGE, target=self.target())
        with self.bounded():
            await self._write_huge(staged)
            blob = await self.publish(staged)
            await staged.settle()
        assert blob.size == HUGE
        with self.bounded():
            reader = await native.open(blob)
            read = sum([len(piece) async for piece in reader])
            await reader.close()
        assert read == HUGE

    async def test_memory_is_bounded_in_parts_too(self, native: NativeBackend, names: Iterator[str]) -> None:
        upload = await self.begin(native, next(names))
        staged = await native.stage_part(upload, 1, next(names), size=HUGE)
        with self.bounded():
            await self._write_huge(staged)
            await staged.seal()
        await staged.discard()
        await native.abort_upload(upload)

    async def _write_huge(self, staged: NativeStaged) -> None:
        piece = bytearray(random_bytes(MIB))
        for n in range(HUGE // MIB):
            piece[0] = n
            await staged.write(piece)
