"""Native layout: intents, rows with tokens, what is adopted, uploads that upstream knows."""

# ruff: noqa: S105, S106, S107 - tokens are states of objects, and no passwords
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bleepstore import commands as c
from bleepstore.metadata import (
    Attributes,
    BucketRecord,
    Committed,
    EndedUpload,
    ObjectRecord,
    Reason,
    Reserved,
    UploadRecord,
)
from bleepstore.storage import Blob
from bleepstore.testing.metadata.races import outcomes
from bleepstore.testing.metadata.store import OWNER, KitBase, Store, refused


def a_put(store: Store, bucket: BucketRecord, key: str = "k", **values: Any) -> c.CommitObject:
    """A write that is about to be published."""
    values.setdefault("etag", "etag-of-new")
    values.setdefault("attributes", Attributes())
    return c.CommitObject(
        **store.stamp(), bucket=bucket.id, key=key, content=c.Content(size=3), owner=OWNER, **values
    )


def a_delete(store: Store, bucket: BucketRecord, key: str = "k", **values: Any) -> c.DeleteObject:
    """A delete that is about to be done upstream."""
    return c.DeleteObject(**store.stamp(), bucket=bucket.id, key=key, **values)


async def reserve(
    store: Store, command: c.CommitObject | c.CompleteUpload | c.DeleteObject, reservation: str = "r-1"
) -> Reserved:
    """Reserve it."""
    made = await store.apply(
        c.Reserve,
        reservation=reservation,
        holder=store.engine.holder,
        fingerprint="fingerprint",
        command=command,
    )
    assert isinstance(made, Reserved)
    return made


def published(command: Any, token: str, reservation: str | None = "r-1") -> Any:
    """The command after its blob was published."""
    content = c.Content(size=command.content.size, blob=f"bucket/{command.key}", token=token)
    return replace(command, content=content, reservation=reservation)


async def put(
    store: Store, bucket: BucketRecord, key: str = "k", *, token: str = "t-1", **values: Any
) -> Committed:
    """A whole write."""
    command = a_put(store, bucket, key, **values)
    await reserve(store, command, f"for {key}")
    made = await store.engine.apply(published(command, token, f"for {key}"))
    assert isinstance(made, Committed)
    return made


async def adopt(store: Store, bucket: BucketRecord, seq: int, **values: Any) -> bool:
    """AdoptObject of a state with token ``t-9``."""
    values.setdefault("content", c.Content(size=9, blob="bucket/k", token="t-9"))
    done = await store.apply(
        c.AdoptObject,
        bucket=bucket.id,
        key="k",
        seq=seq,
        etag="etag-of-theirs",
        owner="owner-of-bucket",
        modified=12345,
        attributes=Attributes(headers={"content-type": "text/theirs"}, metadata={"who": "they"}),
        **values,
    )
    assert isinstance(done, bool)
    return done


async def begin(store: Store, bucket: BucketRecord, handle: str = "handle") -> UploadRecord:
    """CreateUpload of an upload that upstream knows."""
    made = await store.apply(
        c.CreateUpload,
        bucket=bucket.id,
        key="k",
        upload="upload",
        owner=OWNER,
        initiator=OWNER,
        attributes=Attributes(metadata={"who": "me"}),
        handle=handle,
    )
    assert isinstance(made, UploadRecord)
    return made


async def part(store: Store, upload: UploadRecord, number: int, *, token: str | None = None) -> None:
    """CommitPart of a blob ``part-NUMBER``."""
    await store.apply(
        c.CommitPart,
        bucket=upload.bucket,
        key=upload.key,
        upload=upload.id,
        number=number,
        content=c.Content(size=10, blob=f"part-{number}", token=token),
        etag=f"etag-{number}",
    )


def completion(store: Store, upload: UploadRecord, generation: int, *numbers: int) -> c.CompleteUpload:
    """CompleteUpload that is about to be published."""
    return c.CompleteUpload(
        **store.stamp(),
        bucket=upload.bucket,
        key=upload.key,
        upload=upload.id,
        generation=generation,
        parts=tuple((number, number) for number in numbers),
        size=10 * len(numbers),
        etag="etag-of-all",
        checksum=None,
        content=c.Content(size=10 * len(numbers)),
    )


async def ended(store: Store) -> list[EndedUpload]:
    """Uploads that upstream is to be told of."""
    return [found.upload for found in await store.engine.garbage(100) if found.upload is not None]


class NativeTests(KitBase):
    """What a gateway relies on."""

    # --- intents ----------------------------------------------------------------------------------------

    async def test_reservation_tells_what_upstream_is_expected_to_hold(self, store: Store) -> None:
        """Nothing, or what the row names."""
        bucket = await store.make_bucket()
        command = a_put(store, bucket)
        assert await reserve(store, command) == Reserved(blob=None, token="", seq=0)
        made = await store.engine.apply(published(command, "t-1"))
        expected = Reserved(blob="bucket/k", token="t-1", seq=made.seq, size=3)
        assert await reserve(store, a_put(store, bucket), "r-2") == expected

    async def test_intent_is_there_until_its_command_and_over_a_restart(self, store: Store) -> None:
        """With all that is needed to find out what came of it."""
        bucket = await store.make_bucket()
        command = a_put(store, bucket, tags=b"a=b", condition=c.Condition(if_none_match=True))
        await reserve(store, command)
        at = store.now
        holder = store.engine.holder
        await store.reopen()
        intent = await store.engine.intent(bucket.id, "k")
        assert intent is not None
        assert (intent.reservation, intent.holder, intent.fingerprint) == ("r-1", holder, "fingerprint")
        assert (intent.bucket, intent.bucket_name, intent.key) == (bucket.id, "bucket", "k")
        assert (intent.token, intent.seq, intent.at) == ("", 0, at)
        assert intent.command == command
        assert await store.engine.intents(10) == [intent]
        assert await store.find(bucket, "k") is None
        await store.engine.apply(published(command, "t-1"))
        assert await store.engine.intent(bucket.id, "k") is None
        assert await store.engine.intents(10) == []
        assert (await store.object(bucket, "k")).token == "t-1"

    async def test_intents_come_by_bucket_and_key(self, store: Store) -> None:
        """By pages."""
        buckets = [await store.make_bucket(name) for name in ("b-1", "b-2")]
        places = [(bucket, key) for bucket in buckets for key in ("a", "b", "\uffff", "\U0001f600")]
        for number, (bucket, key) in enumerate(places):
            await reserve(store, a_put(store, bucket, key), f"r-{number}")
        seen: list[str] = []
        after = (0, "")
        while page := await store.engine.intents(3, after=after):
            seen += [intent.reservation for intent in page]
            after = (page[-1].bucket, page[-1].key)
        assert seen == [f"r-{number}" for number in range(len(places))]

    async def test_key_with_an_intent_is_held(self, store: Store) -> None:
        """Whatever the condition; other keys are not."""
        bucket = await store.make_bucket()
        await reserve(store, a_put(store, bucket))
        for command in (
            a_put(store, bucket),
            a_put(store, bucket, condition=c.Condition(if_match=("no",))),
            a_delete(store, bucket),
        ):
            with refused(Reason.HELD) as caught:
                await reserve(store, command, "r-2")
            assert caught.value.detail == "r-1"
        await reserve(store, a_put(store, bucket, "other"), "r-3")

    async def test_one_of_many_reservations_is_made(self, store: Store) -> None:
        """The others are told to wait."""
        bucket = await store.make_bucket()
        calls = [reserve(store, a_put(store, bucket), f"r-{number}") for number in range(10)]
        made, refusals = await outcomes(*calls)
        assert len(made) == 1
        assert refusals == [Reason.HELD] * 9

    async def test_condition_is_decided_by_reserve_and_not_again(self, store: Store) -> None:
        """S3-CHECKLIST 33: once, with what is there then."""
        bucket = await store.make_bucket()
        await put(store, bucket, etag="e")
        for condition, reason in (
            (c.Condition(if_none_match=True), Reason.IF_NONE_MATCH),
            (c.Condition(if_match=("other",)), Reason.IF_MATCH),
        ):
            with refused(reason):
                await reserve(store, a_put(store, bucket, condition=condition))
        with refused(Reason.NO_SUCH_KEY):
            await reserve(store, a_put(store, bucket, "none", condition=c.Condition(if_match=("*",))))
        with refused(Reason.IF_MATCH):
            await reserve(store, a_delete(store, bucket, condition=c.Condition(if_match=("other",))))
        with refused(Reason.IF_MATCH):
            await reserve(store, a_delete(store, bucket, match={"size": 4}))
        assert await store.engine.intents(10) == []
        command = a_put(store, bucket, condition=c.Condition(if_match=("e",)))
        await reserve(store, command)
        decided_already = replace(published(command, "t-2"), condition=c.Condition(if_none_match=True))
        await store.engine.apply(decided_already)
        assert (await store.object(bucket, "k")).token == "t-2"

    async def test_command_without_its_intent_is_lost_and_changes_nothing(self, store: Store) -> None:
        """Somebody has resolved it: what it came to is for them to say."""
        bucket = await store.make_bucket()
        await put(store, bucket)
        before = await store.everything(bucket)
        for reservation in ("never made", "for k"):
            with refused(Reason.RESERVATION_LOST):
                await store.engine.apply(published(a_put(store, bucket), "t-2", reservation))
            with refused(Reason.RESERVATION_LOST):
                await store.engine.apply(a_delete(store, bucket, reservation=reservation))
        assert await store.everything(bucket) == before

    async def test_released_intent_is_gone_once(self, store: Store) -> None:
        """And only by its name."""
        bucket = await store.make_bucket()
        await reserve(store, a_put(store, bucket))
        release = {"bucket": bucket.id, "key": "k"}
        assert await store.apply(c.Release, **release, reservation="r-2") is False
        assert await store.apply(c.Release, **release, reservation="r-1") is True
        assert await store.apply(c.Release, **release, reservation="r-1") is False
        await reserve(store, a_put(store, bucket), "r-3")

    async def test_delete_of_what_is_not_there_reserves_nothing(self, store: Store) -> None:
        """Nor one of a version that is not."""
        bucket = await store.make_bucket()
        await put(store, bucket, "other")
        for command in (a_delete(store, bucket), a_delete(store, bucket, "other", version="another")):
            assert await reserve(store, command) == Reserved(blob=None, token="", seq=0)
        assert await store.engine.intents(10) == []

    async def test_reserved_delete_removes_the_row(self, store: Store) -> None:
        """And its intent."""
        bucket = await store.make_bucket()
        await put(store, bucket)
        command = a_delete(store, bucket)
        assert (await reserve(store, command)).token == "t-1"
        assert await store.engine.apply(replace(command, reservation="r-1")) is True
        assert await store.find(bucket, "k") is None
        assert await store.engine.intents(10) == []

    async def test_bucket_with_an_intent_is_not_empty(self, store: Store) -> None:
        """An object is about to be in it."""
        bucket = await store.make_bucket()
        command = a_put(store, bucket)
        await reserve(store, command)
        with refused(Reason.BUCKET_NOT_EMPTY):
            await store.apply(c.DeleteBucket, bucket=bucket.id)
        await store.apply(c.Release, bucket=bucket.id, key="k", reservation="r-1")
        await store.apply(c.DeleteBucket, bucket=bucket.id)
        with refused(Reason.NO_SUCH_BUCKET):
            await reserve(store, command)

    async def test_process_that_holds_intents_is_known_to_be_dead(self, store: Store) -> None:
        """Every start has another name."""
        before = store.engine.holder
        assert before
        assert await store.engine.is_alive(before)
        await store.reopen()
        assert store.engine.holder != before
        assert not await store.engine.is_alive(before)
        assert not await store.engine.is_alive("nobody")

    # --- rows with tokens -------------------------------------------------------------------------------

    async def test_blobs_with_tokens_are_never_garbage(self, store: Store) -> None:
        """Replacing and deleting them upstream is part of the write itself."""
        bucket = await store.make_bucket()
        await put(store, bucket, token="t-1")
        await put(store, bucket, token="t-2")
        assert (await store.object(bucket, "k")).token == "t-2"
        await store.delete(bucket, "k")
        assert await store.garbage() == []

    async def test_empty_objects_name_their_blob(self, store: Store) -> None:
        """Upstream has them too."""
        bucket = await store.make_bucket()
        command = replace(a_put(store, bucket), content=c.Content(size=0))
        await reserve(store, command)
        await store.engine.apply(published(command, "t-1"))
        found = await store.object(bucket, "k")
        assert (found.size, found.blob, found.token, found.inline) == (0, "bucket/k", "t-1", False)

    # --- adopting ---------------------------------------------------------------------------------------

    async def test_adopted_object_is_upstreams_with_our_acl_and_tags(self, store: Store) -> None:
        """And owner, and storage class."""
        bucket = await store.make_bucket()
        await put(store, bucket, acl=b"acl", tags=b"a=b", attributes=Attributes(storage_class="STANDARD_IA"))
        before = await store.object(bucket, "k")
        assert await adopt(store, bucket, before.seq) is True
        found = await store.object(bucket, "k")
        assert found.seq > before.seq
        assert found == ObjectRecord(
            bucket=bucket.id,
            key="k",
            seq=found.seq,
            version=None,
            size=9,
            etag="etag-of-theirs",
            modified=12345,
            owner=OWNER,
            attributes=Attributes(
                headers={"content-type": "text/theirs"},
                metadata={"who": "they"},
                storage_class="STANDARD_IA",
            ),
            acl=b"acl",
            tags=b"a=b",
            blob="bucket/k",
            token="t-9",
        )
        assert await store.garbage() == []

    async def test_only_the_state_that_was_looked_at_is_replaced(self, store: Store) -> None:
        """Another write was faster, or is under way."""
        bucket = await store.make_bucket()
        first = await put(store, bucket)
        second = await put(store, bucket, token="t-2")
        assert await adopt(store, bucket, first.seq) is False
        assert await adopt(store, bucket, 0) is False
        await reserve(store, a_put(store, bucket))
        assert await adopt(store, bucket, second.seq) is False
        assert await adopt(store, bucket, second.seq, reservation="r-2") is False
        assert (await store.object(bucket, "k")).token == "t-2"
        assert await adopt(store, bucket, second.seq, reservation="r-1") is True
        assert (await store.object(bucket, "k")).token == "t-9"
        assert await store.engine.intents(10) == []

    async def test_key_without_a_row_is_adopted_for_its_owner(self, store: Store) -> None:
        """Only while it has none."""
        bucket = await store.make_bucket()
        assert await adopt(store, bucket, 0) is True
        found = await store.object(bucket, "k")
        assert (found.owner, found.acl, found.token) == ("owner-of-bucket", None, "t-9")
        assert await adopt(store, bucket, 0) is False

    async def test_object_that_is_gone_upstream_is_removed(self, store: Store) -> None:
        """By the same condition."""
        bucket = await store.make_bucket()
        made = await put(store, bucket)
        assert await adopt(store, bucket, made.seq + 1, content=None) is False
        assert await adopt(store, bucket, made.seq, content=None) is True
        assert await store.find(bucket, "k") is None
        assert await store.garbage() == []

    # --- uploads ----------------------------------------------------------------------------------------

    async def test_upload_keeps_its_handle_and_parts_their_blobs(self, store: Store) -> None:
        """An empty handle is one too; empty parts have blobs."""
        bucket = await store.make_bucket()
        upload = await begin(store, bucket, handle="")
        assert upload.handle == ""
        await part(store, upload, 3, token="t-3")
        await part(store, upload, 1)
        assert await store.engine.part_blobs(upload.segments) == {
            1: Blob(name="part-1", size=10),
            3: Blob(name="part-3", size=10, token="t-3"),
        }
        assert (await store.upload(bucket, upload)).handle == ""
        assert (await store.begin(bucket, "opaque")).handle is None

    @pytest.mark.parametrize("token", ["t", None])
    async def test_completed_upload_is_one_blob_that_remembers_its_parts(
        self, store: Store, token: str | None
    ) -> None:
        """Bytes of parts that are blobs are garbage, and upstream is told that the upload has ended."""
        bucket = await store.make_bucket()
        upload = await begin(store, bucket)
        for number in (1, 2, 5):
            await part(store, upload, number, token=token)
        command = completion(store, upload, 3, 1, 5)
        await reserve(store, command)
        made = await store.engine.apply(published(command, "t-all"))
        found = await store.object(bucket, "k")
        assert (found.blob, found.token, found.size, found.parts) == ("bucket/k", "t-all", 20, 2)
        assert found.segments is not None
        assert [(one.number, one.etag) for one in await store.engine.parts(found.segments)] == [
            (1, "etag-1"),
            (2, "etag-5"),
        ]
        blobs = [] if token else ["part-1", "part-2", "part-5"]
        assert await store.garbage() == [*blobs, "upload"]
        assert await ended(store) == [EndedUpload(id="upload", handle="handle", bucket="bucket", key="k")]
        assert await store.engine.apply(published(command, "t-all")) == made
        await store.forget("upload", *blobs)
        await store.delete(bucket, "k")
        assert await store.garbage() == []
        assert list(await store.engine.parts(found.segments)) == []

    async def test_parts_that_came_after_the_reservation_are_dropped(self, store: Store) -> None:
        """What is published is published; the generation was decided before."""
        bucket = await store.make_bucket()
        upload = await begin(store, bucket)
        await part(store, upload, 1)
        with refused(Reason.UPLOAD_CHANGED):
            await reserve(store, completion(store, upload, 0, 1))
        command = completion(store, upload, 1, 1)
        await reserve(store, command)
        await part(store, upload, 2)
        await store.engine.apply(published(command, "t-all"))
        assert (await store.object(bucket, "k")).parts == 1
        with refused(Reason.UPLOAD_CHANGED):
            await reserve(store, command, "r-2")

    async def test_upload_that_is_being_completed_is_not_aborted(self, store: Store) -> None:
        """Until the intent has ended."""
        bucket = await store.make_bucket()
        upload = await begin(store, bucket)
        await part(store, upload, 1)
        await reserve(store, completion(store, upload, 1, 1))
        with refused(Reason.HELD):
            await store.abort(upload)
        await store.apply(c.Release, bucket=bucket.id, key="k", reservation="r-1")
        await reserve(store, a_put(store, bucket))
        await store.abort(upload)

    async def test_whatever_ends_an_upload_tells_upstream(self, store: Store) -> None:
        """Aborts, and deletes of the bucket, whose name is told; completed ones have told it before."""
        bucket = await store.make_bucket()
        upload = await begin(store, bucket)
        await part(store, upload, 1)
        await store.abort(upload)
        assert await store.garbage() == ["part-1", "upload"]
        known = EndedUpload(id="upload", handle="handle", bucket="bucket", key="k")
        assert await ended(store) == [known]
        await store.forget("part-1", "upload")
        again = await begin(store, bucket)
        await part(store, again, 1, token="t")
        await store.apply(c.DeleteBucket, bucket=bucket.id)
        assert await store.garbage() == ["upload"]
        assert await ended(store) == [known]

    async def test_garbage_goes_by_pages(self, store: Store) -> None:
        """What cannot be removed is passed by."""
        bucket = await store.make_bucket()
        upload = await begin(store, bucket)
        for number in range(1, 6):
            await part(store, upload, number)
        await store.abort(upload)
        seen: list[str] = []
        after = (0, "")
        while page := await store.engine.garbage(2, after=after):
            seen += [found.blob for found in page]
            after = (page[-1].seq, page[-1].blob)
        assert seen == [*(f"part-{number}" for number in range(1, 6)), "upload"]
