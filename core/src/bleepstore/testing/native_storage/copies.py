"""Copies within upstream, of a source at its token."""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

from collections.abc import Iterator

import pytest

from bleepstore.native import NativeBackend
from bleepstore.storage import BlobMissing, TokenMismatch
from bleepstore.testing.native_storage.cloud import CloudKit, unless_refused
from bleepstore.testing.storage import MIB, random_bytes


class CopyTests(CloudKit):
    """A copy is what the source was at its token, with the headers and metadata of its target."""

    @pytest.mark.parametrize("size", [0, 1000, 9 * MIB])
    async def test_copy_has_the_bytes_of_the_source_and_properties_of_its_own(
        self, native: NativeBackend, names: Iterator[str], size: int
    ) -> None:
        data = random_bytes(size)
        pieces = [data] if data else []
        metadata = {"of": "source"}
        source = await self.put_target(native, next(names), self.target("source", metadata=metadata), *pieces)
        with unless_refused(possible=self.copies):
            target = self.target("copy", bucket="kit-two", metadata={"of": "copy"})
            staged = await native.stage_copy(next(names), source, target)
            fingerprint = await staged.seal()
            copy = await staged.publish(expect="")
            await staged.settle()
            assert copy.name == native.name_of("kit-two", "copy")
            assert copy.size == size
            assert await self.read(native, copy) == data
            found = await native.stat(copy.name)
            assert found is not None
            assert found.metadata == {"of": "copy"}
            if self.fingerprints:
                assert found.fingerprint == fingerprint
        assert await self.read(native, source) == data
        kept = await native.stat(source.name)
        assert kept is not None
        assert kept.metadata == metadata

    async def test_object_is_copied_onto_itself_with_other_metadata(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        source = await self.put_target(native, next(names), self.target(metadata={"n": "1"}), b"the bytes")
        with unless_refused(possible=self.copies):
            staged = await native.stage_copy(next(names), source, self.target(metadata={"n": "2"}))
            copy = await self.write(staged, expect=source.token)
            found = await native.stat(copy.name)
            assert found is not None
            assert (found.metadata, found.token) == ({"n": "2"}, copy.token)
            assert await self.read(native, copy) == b"the bytes"

    async def test_discarded_copy_onto_itself_leaves_the_object(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        before = set(self.traces(native))
        source = await self.put_target(native, next(names), self.target(metadata={"n": "1"}), b"the bytes")
        with unless_refused(possible=self.copies):
            staged = await native.stage_copy(next(names), source, self.target(metadata={"n": "2"}))
            await staged.seal()
            await staged.discard()
        found = await native.stat(source.name)
        assert found is not None
        assert found.metadata == {"n": "1"}
        await native.delete(source.name, token=source.token)
        assert set(self.traces(native)) == before

    @pytest.mark.parametrize("change", ["removed", "replaced"])
    @pytest.mark.parametrize("sealed", [False, True], ids=["before the seal", "after the seal"])
    async def test_source_that_is_another_meanwhile_is_missing(
        self, native: NativeBackend, names: Iterator[str], change: str, *, sealed: bool
    ) -> None:
        source = await self.put_target(native, next(names), self.target("source"), b"as it was")
        with unless_refused(possible=self.copies):
            staged = await native.stage_copy(next(names), source, self.target("copy"))
            if sealed:
                await staged.seal()
            if change == "removed":
                await native.delete(source.name, token=source.token)
            else:
                await self.put_target(native, next(names), self.target("source"), b"as it is")
            # What was sealed may have been copied already: then it is what the source was.
            try:
                if not sealed:
                    await staged.seal()
                blob = await staged.publish(expect="")
            except BlobMissing:
                await staged.discard()
                assert await native.stat(native.name_of("kit", "copy")) is None
            else:
                assert sealed
                assert await self.read(native, blob) == b"as it was"

    async def test_copy_onto_what_was_replaced_meanwhile_is_refused(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        source = await self.put_target(native, next(names), self.target(), b"as it was")
        with unless_refused(possible=self.copies):
            staged = await native.stage_copy(next(names), source, self.target(metadata={"n": "2"}))
            new = await self.put_target(native, next(names), self.target(), b"as it is")
            with pytest.raises((BlobMissing, TokenMismatch)):
                await self.publish(staged, expect=source.token)
            await staged.discard()
            assert await self.read(native, new) == b"as it is"

    @pytest.mark.parametrize("expect", ["", "a token of nobody"])
    async def test_copy_over_another_state_is_refused_and_changes_nothing(
        self, native: NativeBackend, names: Iterator[str], expect: str
    ) -> None:
        source = await self.put_target(native, next(names), self.target("source"), b"source")
        old = await self.put_target(native, next(names), self.target("copy"), b"old")
        with unless_refused(possible=self.copies):
            staged = await native.stage_copy(next(names), source, self.target("copy"))
            with pytest.raises(TokenMismatch):
                await self.publish(staged, expect=expect)
            await staged.discard()
        assert await self.read(native, old) == b"old"
