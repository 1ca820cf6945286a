"""Multipart uploads: parts come in any order, and the object is made on a condition."""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bleepstore.native import NativeBackend, NativePart
from bleepstore.storage import Blob, BlobMissing, Target, TokenMismatch
from bleepstore.testing.native_storage.cloud import BUCKET, HEADERS, CloudKit, unless_refused
from bleepstore.testing.storage import STORE, StorageFactory, random_bytes


class MultipartTests(CloudKit):
    """An upload is what its chosen parts are, and leaves nothing else."""

    def part(self, seed: int = 0, extra: int = 0) -> bytes:
        """Bytes of a part."""
        return random_bytes(self.part_size + extra, seed)

    async def test_parts_come_in_any_order(self, native: NativeBackend, names: Iterator[str]) -> None:
        before = set(self.traces(native))
        upload = await self.begin(native, next(names))
        data = {number: self.part(number, number) for number in (1, 3, 7)} | {10_000: b"the last"}
        written = [await self.put_part(native, upload, n, next(names), data[n]) for n in (7, 10_000, 1, 3)]
        parts = sorted(written, key=lambda part: part.number)
        staged = await native.stage_upload(upload, parts)
        fingerprint = await staged.seal()
        assert await native.stat(native.name_of(BUCKET, "a key")) is None
        blob = await staged.publish(expect="")
        await staged.settle()
        await self.forget(native, upload, written)
        whole = b"".join(data[part.number] for part in parts)
        assert (blob.name, blob.size) == (native.name_of(BUCKET, "a key"), len(whole))
        assert await self.read(native, blob) == whole
        assert await self.read(native, blob, self.part_size - 5, 20) == whole[self.part_size - 5 :][:20]
        found = await native.stat(blob.name)
        assert found is not None
        assert (found.size, found.token) == (len(whole), blob.token)
        if self.fingerprints:
            assert found.fingerprint == fingerprint
        await native.delete(blob.name, token=blob.token)
        assert set(self.traces(native)) == before

    async def test_object_has_headers_and_metadata_of_the_beginning(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        headers = {name: value for name, value in HEADERS.items() if name in self.kept_headers}
        metadata = {"with-dash": "é"}
        target = Target(bucket=BUCKET, key="a key", headers=headers, metadata=metadata)
        upload = await self.begin(native, next(names), target)
        part = await self.put_part(native, upload, 1, next(names), b"only")
        blob = await self.complete(native, upload, [part])
        found = await native.stat(blob.name)
        assert found is not None
        assert {name: value for name, value in found.headers.items() if name in HEADERS} == headers
        assert found.metadata == metadata

    async def test_parts_are_written_at_once(self, native: NativeBackend, names: Iterator[str]) -> None:
        upload = await self.begin(native, next(names))
        data = [self.part(n, n) for n in range(6)]
        written = await asyncio.gather(
            *(self.put_part(native, upload, number, next(names), text) for number, text in enumerate(data, 1))
        )
        blob = await self.complete(native, upload, written)
        assert await self.read(native, blob) == b"".join(data)

    async def test_part_that_is_written_again_counts_as_it_was_last(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(native))
        upload = await self.begin(native, next(names))
        old = await self.put_part(native, upload, 1, next(names), self.part(1, 7))
        new = await self.put_part(native, upload, 1, next(names), self.part(2))
        last = await self.put_part(native, upload, 2, next(names), b"end")
        blob = await self.complete(native, upload, [new, last])
        await self.forget(native, upload, [old, new, last])
        assert await self.read(native, blob) == self.part(2) + b"end"
        await native.delete(blob.name, token=blob.token)
        assert set(self.traces(native)) == before

    async def test_unlisted_parts_are_dropped(self, native: NativeBackend, names: Iterator[str]) -> None:
        before = set(self.traces(native))
        upload = await self.begin(native, next(names))
        data = [self.part(n) for n in range(4)]
        written = [await self.put_part(native, upload, n, next(names), data[n - 1]) for n in (1, 2, 3, 4)]
        blob = await self.complete(native, upload, [written[1], written[3]])
        await self.forget(native, upload, written)
        assert await self.read(native, blob) == data[1] + data[3]
        await native.delete(blob.name, token=blob.token)
        assert set(self.traces(native)) == before

    @pytest.mark.parametrize("first", [False, True], ids=["alone", "after another"])
    async def test_part_may_be_empty(
        self, native: NativeBackend, names: Iterator[str], *, first: bool
    ) -> None:
        upload = await self.begin(native, next(names))
        data = [self.part()] if first else []
        data.append(b"")
        written = [
            await self.put_part(native, upload, number, next(names), text)
            for number, text in enumerate(data, 1)
        ]
        blob = await self.complete(native, upload, written, expect="")
        assert await self.read(native, blob) == b"".join(data)

    async def test_two_uploads_of_one_key_do_not_touch_each_other(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        uploads = [await self.begin(native, next(names)) for _ in range(2)]
        written: list[list[NativePart]] = [[], []]
        for number in (1, 2):
            for n in (0, 1):
                data = self.part(10 * n + number)
                written[n].append(await self.put_part(native, uploads[n], number, next(names), data))
        first = await self.complete(native, uploads[0], written[0], expect="")
        assert await self.read(native, first) == self.part(1) + self.part(2)
        await self.forget(native, uploads[0], written[0])
        second = await self.complete(native, uploads[1], written[1], expect=first.token)
        assert await self.read(native, second) == self.part(11) + self.part(12)

    async def test_one_of_two_completing_on_the_same_state_wins(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        uploads = [await self.begin(native, next(names)) for _ in range(2)]
        parts = [
            [await self.put_part(native, upload, 1, next(names), self.part(n))]
            for n, upload in enumerate(uploads)
        ]
        results = await asyncio.gather(
            *(self.complete(native, uploads[n], parts[n], expect="") for n in (0, 1)), return_exceptions=True
        )
        (won,) = [n for n, result in enumerate(results) if isinstance(result, Blob)]
        (lost,) = [n for n, result in enumerate(results) if isinstance(result, TokenMismatch)]
        first = results[won]
        assert isinstance(first, Blob)
        assert await self.read(native, first) == self.part(won)
        second = await self.complete(native, uploads[lost], parts[lost], expect=first.token)
        assert await self.read(native, second) == self.part(lost)

    async def test_part_may_be_written_by_two_at_once(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(native))
        upload = await self.begin(native, next(names))
        writes = (self.put_part(native, upload, 1, next(names), self.part(n)) for n in range(3))
        written = await asyncio.gather(*writes)
        last = await self.put_part(native, upload, 1, next(names), self.part(9))
        blob = await self.complete(native, upload, [last])
        await self.forget(native, upload, [*written, last])
        assert await self.read(native, blob) == self.part(9)
        await native.delete(blob.name, token=blob.token)
        assert set(self.traces(native)) == before

    async def test_part_that_was_written_again_is_what_it_was_or_missing(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        old = await self.put_target(native, next(names), self.target(), b"old")
        upload = await self.begin(native, next(names))
        first = await self.put_part(native, upload, 1, next(names), self.part(1))
        second = await self.put_part(native, upload, 1, next(names), self.part(2))
        try:
            blob = await self.complete(native, upload, [first], expect=old.token)
        except BlobMissing:
            assert await self.read(native, old) == b"old"
            blob = await self.complete(native, upload, [second], expect=old.token)
            assert await self.read(native, blob) == self.part(2)
        else:
            assert await self.read(native, blob) == self.part(1)

    async def test_writing_the_object_meanwhile_leaves_the_parts(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        upload = await self.begin(native, next(names))
        first = await self.put_part(native, upload, 1, next(names), self.part(1))
        between = await self.put_target(native, next(names), self.target(), b"a PUT between")
        last = await self.put_part(native, upload, 2, next(names), b"last")
        assert await self.read(native, between) == b"a PUT between"
        blob = await self.complete(native, upload, [first, last], expect=between.token)
        assert await self.read(native, blob) == self.part(1) + b"last"

    @pytest.mark.parametrize("anew", [False, True], ids=["asked again", "begun anew"])
    @pytest.mark.parametrize("expect", ["", "a token of nobody"])
    async def test_upload_that_lost_its_condition_can_be_completed_again(
        self, native: NativeBackend, names: Iterator[str], expect: str, *, anew: bool
    ) -> None:
        old = await self.put_target(native, next(names), self.target(), b"old")
        upload = await self.begin(native, next(names))
        written = [
            await self.put_part(native, upload, 1, next(names), self.part(1)),
            await self.put_part(native, upload, 2, next(names), b"last"),
        ]
        staged = await native.stage_upload(upload, written)
        await staged.seal()
        with pytest.raises(TokenMismatch):
            await staged.publish(expect=expect)
        assert await self.read(native, old) == b"old"
        if anew:
            await staged.discard()
            staged = await native.stage_upload(upload, written)
            await staged.seal()
        blob = await staged.publish(expect=old.token)
        await staged.settle()
        assert await self.read(native, blob) == self.part(1) + b"last"

    @pytest.mark.parametrize("sealed", [False, True])
    async def test_completion_that_was_given_up_can_be_begun_again_after_a_restart(
        self, make_backend: StorageFactory, native: NativeBackend, names: Iterator[str], *, sealed: bool
    ) -> None:
        upload = await self.begin(native, next(names))
        part = await self.put_part(native, upload, 1, next(names), self.part())
        staged = await native.stage_upload(upload, [part])
        if sealed:
            await staged.seal()
        await staged.discard()
        await native.stop()
        again = make_backend()
        assert isinstance(again, NativeBackend)
        await again.start(STORE, fresh=False)
        blob = await self.complete(again, upload, [part], expect="")
        assert await self.read(again, blob) == self.part()
        await again.stop()

    async def test_part_that_failed_can_be_written_again(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(native))
        upload = await self.begin(native, next(names))
        staged = await native.stage_part(upload, 1, next(names))
        await staged.write(self.part(1))
        await staged.discard()
        part = await self.put_part(native, upload, 1, next(names), self.part(2))
        blob = await self.complete(native, upload, [part])
        await self.forget(native, upload, [part])
        assert await self.read(native, blob) == self.part(2)
        await native.delete(blob.name, token=blob.token)
        assert set(self.traces(native)) == before

    # --- the end ----------------------------------------------------------------------------------

    async def test_aborting_leaves_nothing_and_is_idempotent(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(native))
        old = await self.put_target(native, next(names), self.target(), b"old")
        upload = await self.begin(native, next(names))
        written = [await self.put_part(native, upload, n, next(names), self.part(n)) for n in (1, 2)]
        for _ in range(2):
            await self.forget(native, upload, written)
        assert await self.read(native, old) == b"old"
        await native.delete(old.name, token=old.token)
        assert set(self.traces(native)) == before

    async def test_upload_without_parts_is_aborted(self, native: NativeBackend, names: Iterator[str]) -> None:
        before = set(self.traces(native))
        upload = await self.begin(native, next(names))
        for _ in range(2):
            await native.abort_upload(upload)
        assert set(self.traces(native)) == before

    async def test_aborting_what_was_completed_leaves_the_object(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        upload = await self.begin(native, next(names))
        part = await self.put_part(native, upload, 1, next(names), self.part())
        blob = await self.complete(native, upload, [part])
        for _ in range(2):
            await self.forget(native, upload, [part])
        assert await self.read(native, blob) == self.part()

    async def test_uploads_are_in_no_listing(self, native: NativeBackend, names: Iterator[str]) -> None:
        upload = await self.begin(native, next(names))
        part = await self.put_part(native, upload, 1, next(names), self.part())
        assert [found async for found in native.objects(BUCKET)] == []
        assert [bucket async for bucket in native.buckets()] == []
        await self.forget(native, upload, [part])

    # --- copies into parts ------------------------------------------------------------------------

    async def test_parts_are_copied_from_spans(self, native: NativeBackend, names: Iterator[str]) -> None:
        data = random_bytes(2 * self.part_size + 100)
        half = len(data) // 2
        source = await self.put_target(native, next(names), self.target("source"), data[:half], data[half:])
        upload = await self.begin(native, next(names), self.target("copy"))
        spans = [(50, self.part_size), (0, len(data)), (self.part_size, 20)]
        written = []
        with unless_refused(possible=self.copies_parts):
            for number, (start, length) in enumerate(spans, 1):
                staged = await native.stage_part_copy(upload, number, next(names), source, start, length)
                written.append(NativePart(number=number, blob=await self.write(staged)))
            blob = await self.complete(native, upload, written, expect="")
            assert [part.blob.size for part in written] == [length for _, length in spans]
            assert await self.read(native, blob) == b"".join(data[start:][:length] for start, length in spans)
        await self.forget(native, upload, written)

    @pytest.mark.parametrize("change", ["removed", "replaced"])
    async def test_part_is_never_copied_from_another_state(
        self, native: NativeBackend, names: Iterator[str], change: str
    ) -> None:
        half = random_bytes(self.part_size)
        source = await self.put_target(native, next(names), self.target("source"), half, half)
        upload = await self.begin(native, next(names), self.target("copy"))
        await native.delete(source.name, token=source.token)
        if change == "replaced":
            await self.put_target(native, next(names), self.target("source"), half[::-1], half)
        copy = (upload, 1, next(names), source, 10, self.part_size)
        with unless_refused(possible=self.copies_parts), pytest.raises(BlobMissing):
            await self.write(await native.stage_part_copy(*copy))
        await native.abort_upload(upload)
