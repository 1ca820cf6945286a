"""Multipart uploads, from their first part to the object, and every way they end."""

from __future__ import annotations

from bleepstore import commands as c
from bleepstore.metadata import PartRecord, Reason
from bleepstore.testing.metadata.store import OWNER, KitBase, Store, refused


class UploadTests(KitBase):
    """CreateUpload, CommitPart, CompleteUpload, AbortUpload."""

    async def test_upload_is_read_as_it_was_begun(self, store: Store) -> None:
        """By bucket, key and id together, and after a restart."""
        bucket = await store.make_bucket()
        begun = await store.begin(bucket, "k")
        assert (begun.bucket, begun.key, begun.owner, begun.created) == (bucket.id, "k", OWNER, store.now)
        assert begun.completed is None
        await store.reopen()
        assert await store.upload(bucket, begun) == begun
        assert (await store.engine.upload(bucket.name, "other", begun.id))[1] is None
        assert (await store.engine.upload(bucket.name, "k", "other"))[1] is None

    async def test_parts_are_invisible_before_completion(self, store: Store) -> None:
        """S3-CHECKLIST 44: the old object stays what it was."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", etag="old")
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1)
        assert (await store.object(bucket, "k")).etag == "old"
        page = await store.engine.list_objects(bucket.id, prefix="", delimiter="", after="", limit=10)
        assert len(page.entries) == 1

    async def test_parts_come_in_any_order_and_are_listed_by_number(self, store: Store) -> None:
        """S3-CHECKLIST 40, 43: pages after a number."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        for number in (7, 1, 10_000, 3):
            await store.part(upload, number, size=number)
        listed = await store.engine.parts(upload.segments)
        assert [(part.number, part.size) for part in listed] == [(n, n) for n in (1, 3, 7, 10_000)]
        page = await store.engine.parts(upload.segments, after=1, limit=2)
        assert [part.number for part in page] == [3, 7]

    async def test_part_sent_again_replaces_the_first(self, store: Store) -> None:
        """S3-CHECKLIST 40: its bytes are garbage, and the upload is another one for who completes it."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1, size=3, blob="first")
        generation = (await store.upload(bucket, upload)).generation
        await store.part(upload, 1, size=4, blob="second")
        assert (await store.upload(bucket, upload)).generation > generation
        assert [part.size for part in await store.engine.parts(upload.segments)] == [4]
        assert await store.garbage() == ["first"]
        with refused(Reason.UPLOAD_CHANGED):
            await store.complete(bucket, upload, (1, 1), generation=generation)
        assert await store.find(bucket, "k") is None

    async def test_completion_adopts_the_parts_named_with_gaps(self, store: Store) -> None:
        """S3-CHECKLIST 30, 40: the object's parts are 1 to N, and what is left out is garbage."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", blob="replaced")
        upload = await store.begin(bucket, "k")
        for number in (2, 3, 5, 8, 9):
            await store.part(upload, number, size=number, blob=f"part-{number}")
        made = await store.complete(bucket, upload, (2, 2), (5, 5), (8, 9))
        found = await store.object(bucket, "k")
        assert (found.size, found.parts, found.seq, found.etag) == (24, 4, made.seq, made.etag)
        assert found.attributes.headers == {"content-type": "text/plain"}
        assert found.segments is not None
        spans = await store.spans(found)
        assert [(s.blob, s.offset, s.length, s.blob_size) for s in spans] == [
            ("part-2", 0, 2, 2),
            ("part-5", 0, 5, 5),
            ("part-8", 0, 8, 8),
            ("part-9", 0, 9, 9),
        ]
        parts = await store.engine.parts(found.segments)
        assert [(part.number, part.size) for part in parts] == [(1, 2), (2, 5), (3, 8), (4, 9)]
        assert all(isinstance(part, PartRecord) for part in parts)
        assert await store.garbage() == ["part-3", "replaced"]

    async def test_segments_cover_exactly_the_span_asked_for(self, store: Store) -> None:
        """Any range, against the bytes counted one by one."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        sizes = (3, 1, 4, 1, 5)
        for number, size in enumerate(sizes, 1):
            await store.part(upload, number, size=size, blob=f"part-{number}")
        await store.complete(bucket, upload, (1, 5))
        found = await store.object(bucket, "k")
        assert found.segments is not None
        every = [(f"part-{number}", at) for number, size in enumerate(sizes, 1) for at in range(size)]
        for start in range(found.size):
            for length in range(found.size - start + 1):
                spans = await store.engine.segments(found.segments, start=start, length=length)
                assert all(span.length > 0 for span in spans)
                got = [(span.blob, span.offset + at) for span in spans for at in range(span.length)]
                assert got == every[start : start + length], (start, length)

    async def test_empty_part_is_a_part(self, store: Store) -> None:
        """S3-CHECKLIST 40: the only part may have no bytes."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1, size=0)
        await store.complete(bucket, upload, (1, 1))
        found = await store.object(bucket, "k")
        assert (found.size, found.parts) == (0, 1)
        assert await store.spans(found) == []

    async def test_completion_repeated_answers_the_same(self, store: Store) -> None:
        """S3-CHECKLIST 41: also after a restart, and after the object was replaced."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1)
        made = await store.complete(bucket, upload, (1, 1))
        assert await store.complete(bucket, upload, (1, 1)) == made
        await store.reopen()
        await store.put(bucket, "k", etag="newer")
        none_match = c.Condition(if_none_match=True)
        assert await store.complete(bucket, upload, (1, 1), condition=none_match) == made
        assert (await store.upload(bucket, upload)).completed == made
        assert (await store.object(bucket, "k")).etag == "newer"

    async def test_completed_upload_takes_nothing_more(self, store: Store) -> None:
        """S3-CHECKLIST 41: a part that comes late must not change the object."""
        bucket = await store.make_bucket()
        await store.put(bucket, "source")
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1)
        await store.complete(bucket, upload, (1, 1))
        before = await store.everything(bucket)
        with refused(Reason.NO_SUCH_UPLOAD):
            await store.part(upload, 2)
        with refused(Reason.NO_SUCH_UPLOAD):
            await store.copy_part(upload, 1, await store.object(bucket, "source"), 0, 1)
        assert await store.everything(bucket) == before

    async def test_completion_that_a_condition_refuses_can_be_tried_again(self, store: Store) -> None:
        """S3-CHECKLIST 33: the upload and its parts stay."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", etag="there")
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1)
        with refused(Reason.IF_NONE_MATCH):
            await store.complete(bucket, upload, (1, 1), condition=c.Condition(if_none_match=True))
        with refused(Reason.IF_MATCH):
            await store.complete(bucket, upload, (1, 1), condition=c.Condition(if_match=("other",)))
        await store.complete(bucket, upload, (1, 1), condition=c.Condition(if_match=("there",)))
        assert (await store.object(bucket, "k")).parts == 1

    async def test_abort_drops_the_parts_and_ends_the_upload(self, store: Store) -> None:
        """S3-CHECKLIST 41: nothing is accepted after it, whatever it is."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1, blob="one")
        await store.part(upload, 2, blob="two")
        await store.abort(upload)
        assert await store.garbage() == ["one", "two"]
        assert (await store.engine.upload(bucket.name, "k", upload.id))[1] is None
        with refused(Reason.NO_SUCH_UPLOAD):
            await store.part(upload, 3)
        with refused(Reason.NO_SUCH_UPLOAD):
            await store.abort(upload)
        assert await store.garbage() == ["one", "two"]

    async def test_abort_of_a_completed_upload_only_forgets_it(self, store: Store) -> None:
        """The object has its bytes."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1, blob="one")
        await store.complete(bucket, upload, (1, 1))
        await store.abort(upload)
        assert await store.garbage() == []
        assert [span.blob for span in await store.spans(await store.object(bucket, "k"))] == ["one"]

    async def test_uploads_of_one_key_are_independent(self, store: Store) -> None:
        """S3-CHECKLIST 41: the last one to complete is the object."""
        bucket = await store.make_bucket()
        first, second = await store.begin(bucket, "k"), await store.begin(bucket, "k")
        await store.part(first, 1, blob="of-first")
        await store.part(second, 1, blob="of-second")
        await store.complete(bucket, second, (1, 1))
        await store.complete(bucket, first, (1, 1))
        assert [span.blob for span in await store.spans(await store.object(bucket, "k"))] == ["of-first"]
        assert await store.garbage() == ["of-second"]

    async def test_uploads_expire_by_their_age(self, store: Store) -> None:
        """S3-CHECKLIST 44: unfinished ones to abort and finished ones to forget, oldest first."""
        bucket = await store.make_bucket()
        old, done = await store.begin(bucket, "a"), await store.begin(bucket, "b")
        await store.part(done, 1)
        await store.complete(bucket, done, (1, 1))
        young = await store.begin(bucket, "c")
        expired = await store.engine.expired_uploads(young.created, 10)
        assert [upload.id for upload in expired] == [old.id, done.id]
        assert [upload.completed is None for upload in expired] == [True, False]
        assert [upload.id for upload in await store.engine.expired_uploads(young.created, 1)] == [old.id]
        assert await store.engine.expired_uploads(old.created, 10) == []
