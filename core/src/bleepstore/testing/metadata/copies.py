"""Copies share bytes: nothing is garbage before the last row that names it goes."""

from __future__ import annotations

from bleepstore.metadata import Reason
from bleepstore.testing.metadata.store import KitBase, Store, refused


class CopyTests(KitBase):
    """CopyObject and CopyPart."""

    async def test_copy_shares_the_blob(self, store: Store) -> None:
        """And has its own name, time and owner."""
        bucket, other = await store.make_bucket("one"), await store.make_bucket("two")
        await store.put(bucket, "k", size=9, blob="shared", etag="e")
        source = await store.object(bucket, "k")
        made = await store.copy(other, "copy", source, acl=b"acl", tags=b"tags")
        found = await store.object(other, "copy")
        assert (found.blob, found.size, found.etag, found.modified) == ("shared", 9, "e", store.now)
        assert (found.seq, found.acl, found.tags) == (made.seq, b"acl", b"tags")

    async def test_blob_is_garbage_only_when_its_last_row_goes(self, store: Store) -> None:
        """Whichever goes first, and once."""
        bucket = await store.make_bucket()
        await store.put(bucket, "1", blob="shared")
        for key in ("2", "3", "4"):
            await store.copy(bucket, key, await store.object(bucket, "1"))
        for key in ("1", "3", "2"):
            await store.delete(bucket, key)
            assert await store.garbage() == []
        await store.reopen()
        assert (await store.object(bucket, "4")).blob == "shared"
        await store.delete(bucket, "4")
        assert await store.garbage() == ["shared"]

    async def test_copy_onto_itself_keeps_its_bytes(self, store: Store) -> None:
        """S3-CHECKLIST 34: that is how clients replace metadata."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", blob="own")
        for _ in range(3):
            await store.copy(bucket, "k", await store.object(bucket, "k"))
        assert (await store.object(bucket, "k")).blob == "own"
        assert await store.garbage() == []
        await store.delete(bucket, "k")
        assert await store.garbage() == ["own"]

    async def test_copy_over_an_object_drops_what_was_there(self, store: Store) -> None:
        """A copy is a write like any other."""
        bucket = await store.make_bucket()
        await store.put(bucket, "from", blob="kept")
        await store.put(bucket, "to", blob="dropped")
        await store.copy(bucket, "to", await store.object(bucket, "from"))
        assert await store.garbage() == ["dropped"]

    async def test_copy_of_another_state_than_was_read_is_refused(self, store: Store) -> None:
        """Its size, ETag and permissions were decided on what was read."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", etag="same")
        stale = await store.object(bucket, "k")
        await store.put(bucket, "k", etag="same")
        with refused(Reason.SOURCE_CHANGED):
            await store.copy(bucket, "copy", stale)
        await store.delete(bucket, "k")
        with refused(Reason.SOURCE_CHANGED):
            await store.copy(bucket, "copy", stale)
        assert await store.find(bucket, "copy") is None

    async def test_empty_object_is_copied(self, store: Store) -> None:
        """Nothing is shared, and nothing is dropped."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", size=0)
        await store.copy(bucket, "copy", await store.object(bucket, "k"))
        await store.delete(bucket, "k")
        found = await store.object(bucket, "copy")
        assert (found.size, found.blob, found.segments) == (0, None, None)
        assert await store.garbage() == []

    async def test_copy_of_a_multipart_object_shares_every_segment(self, store: Store) -> None:
        """The copy is no multipart object any more."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        for number, size in ((1, 5), (2, 7), (3, 2)):
            await store.part(upload, number, size=size, blob=f"part-{number}")
        await store.complete(bucket, upload, (1, 3))
        source = await store.object(bucket, "k")
        await store.copy(bucket, "copy", source)
        copy = await store.object(bucket, "copy")
        assert (copy.size, copy.parts) == (14, 0)
        assert await store.spans(copy) == await store.spans(source)
        await store.delete(bucket, "k")
        assert await store.garbage() == []
        assert [span.blob for span in await store.spans(copy)] == ["part-1", "part-2", "part-3"]
        await store.delete(bucket, "copy")
        assert await store.garbage() == ["part-1", "part-2", "part-3"]

    async def test_part_copied_from_a_span_shares_just_that(self, store: Store) -> None:
        """S3-CHECKLIST 42: clipped at both ends, across the segments of the source."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "source")
        for number in (1, 2, 3):
            await store.part(upload, number, size=10, blob=f"part-{number}")
        await store.complete(bucket, upload, (1, 3))
        source = await store.object(bucket, "source")
        target = await store.begin(bucket, "target")
        await store.copy_part(target, 1, source, 5, 17)
        await store.copy_part(target, 2, source, 12, 3)
        await store.complete(bucket, target, (1, 2))
        found = await store.object(bucket, "target")
        assert [(span.blob, span.offset, span.length) for span in await store.spans(found)] == [
            ("part-1", 5, 5),
            ("part-2", 0, 10),
            ("part-3", 0, 2),
            ("part-2", 2, 3),
        ]
        assert {span.blob_size for span in await store.spans(found)} == {10}
        await store.delete(bucket, "source")
        assert await store.garbage() == []
        await store.delete(bucket, "target")
        assert await store.garbage() == ["part-1", "part-2", "part-3"]

    async def test_blob_that_one_object_names_twice_goes_once(self, store: Store) -> None:
        """S3-CHECKLIST 42: the same span as two parts."""
        bucket = await store.make_bucket()
        await store.put(bucket, "source", size=10, blob="twice")
        source = await store.object(bucket, "source")
        target = await store.begin(bucket, "target")
        await store.copy_part(target, 1, source, 0, 10)
        await store.copy_part(target, 2, source, 3, 4)
        await store.complete(bucket, target, (1, 2))
        await store.delete(bucket, "source")
        await store.copy(bucket, "copy", await store.object(bucket, "target"))
        await store.delete(bucket, "target")
        assert await store.garbage() == []
        await store.delete(bucket, "copy")
        assert await store.garbage() == ["twice"]

    async def test_part_of_a_changed_source_is_refused(self, store: Store) -> None:
        """And the part that was there stays."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k")
        stale = await store.object(bucket, "k")
        await store.put(bucket, "k")
        upload = await store.begin(bucket, "target")
        await store.part(upload, 1)
        before = await store.everything(bucket)
        with refused(Reason.SOURCE_CHANGED):
            await store.copy_part(upload, 1, stale, 0, 5)
        assert await store.everything(bucket) == before
