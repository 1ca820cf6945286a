"""Objects: what is written is read, replaced, deleted, and conditions decide."""

from __future__ import annotations

from typing import Any

import pytest

from bleepstore import commands as c
from bleepstore.metadata import Attributes, Checksum, ObjectRecord, Reason
from bleepstore.testing.metadata.store import KitBase, Store, refused, source_of

KEYS = ("/", "//", ".", "..", "a/", "/a", "a//b", "é", "\uffff", "\U0001f600", " ", "\x01\x7f", "k" * 1024)


class ObjectTests(KitBase):
    """Commands and reads of objects."""

    async def test_object_is_read_as_it_was_committed(self, store: Store) -> None:
        """Everything a client said, at once and after a restart."""
        bucket = await store.make_bucket()
        attributes = Attributes(
            headers={"content-type": "text/plain", "cache-control": "no-cache"},
            metadata={"name": "snowman ☃", "empty": ""},
            storage_class="GLACIER_IR",
            checksum=Checksum(algorithm="CRC32", value="AAAAAA==-2", type="COMPOSITE"),
        )
        made = await store.put(
            bucket,
            "k",
            size=7,
            blob="x",
            etag="e",
            attributes=attributes,
            acl=b"acl",
            tags=b"tags",
            owner="o",
        )
        wanted = ObjectRecord(
            bucket=bucket.id,
            key="k",
            seq=made.seq,
            version=None,
            size=7,
            etag="e",
            modified=store.now,
            owner="o",
            attributes=attributes,
            acl=b"acl",
            tags=b"tags",
            blob="x",
        )
        assert (made.etag, made.size, made.modified, made.checksum) == (
            "e",
            7,
            store.now,
            attributes.checksum,
        )
        assert await store.object(bucket, "k") == wanted
        await store.reopen()
        assert await store.object(bucket, "k") == wanted

    async def test_everything_acknowledged_is_there_after_a_restart(self, store: Store) -> None:
        """Buckets, objects, copies, uploads, parts, garbage."""
        bucket = await store.make_bucket()
        for number in range(20):
            await store.put(bucket, f"key-{number % 7}")
        await store.copy(bucket, "copy", await store.object(bucket, "key-1"))
        done, left = await store.begin(bucket, "done"), await store.begin(bucket, "left")
        for number in (1, 2, 3):
            await store.part(done, number)
            await store.part(left, number)
        await store.complete(bucket, done, (1, 3))
        before = await store.everything(bucket)
        await store.reopen()
        assert await store.everything(bucket) == before

    async def test_bytes_of_an_empty_object_are_nowhere(self, store: Store) -> None:
        """No blob, so no garbage either."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", size=0)
        found = await store.object(bucket, "k")
        assert (found.size, found.blob, found.segments, found.inline) == (0, None, None, False)
        await store.delete(bucket, "k")
        assert await store.garbage() == []

    async def test_keys_are_opaque(self, store: Store) -> None:
        """S3-CHECKLIST 25: slashes, dots, control characters, 1024 bytes; each its own object."""
        bucket = await store.make_bucket()
        made = {key: await store.put(bucket, key) for key in KEYS}
        for key, committed in made.items():
            found = await store.object(bucket, key)
            assert (found.key, found.etag) == (key, committed.etag)

    async def test_overwritten_object_leaves_its_blob_as_garbage(self, store: Store) -> None:
        """A reader sees the one or the other, and the old bytes are told once."""
        bucket = await store.make_bucket()
        first = await store.put(bucket, "k", blob="old")
        second = await store.put(bucket, "k", blob="new")
        assert second.seq > first.seq
        found = await store.object(bucket, "k")
        assert (found.seq, found.blob) == (second.seq, "new")
        assert await store.garbage() == ["old"]

    async def test_delete_is_idempotent(self, store: Store) -> None:
        """S3-CHECKLIST 36: it says whether there was something, and succeeds either way."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", blob="x")
        assert await store.delete(bucket, "k") is True
        assert await store.delete(bucket, "k") is False
        assert await store.find(bucket, "k") is None
        assert await store.garbage() == ["x"]

    async def test_version_null_is_the_unversioned_one(self, store: Store) -> None:
        """No other version is there, to read, to delete, or to describe."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k")
        assert await store.find(bucket, "k", "null") == await store.object(bucket, "k")
        assert await store.find(bucket, "k", "other") is None
        assert await store.delete(bucket, "k", version="other") is False
        with refused(Reason.NO_SUCH_VERSION):
            await store.apply(
                c.PutObjectDocument, bucket=bucket.id, key="k", version="other", name="tags", body=b"t"
            )
        assert await store.delete(bucket, "k", version="null") is True

    async def test_documents_of_an_object_are_set_and_removed(self, store: Store) -> None:
        """Nothing else of it changes."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k")
        before = await store.object(bucket, "k")

        async def set_document(name: str, body: bytes | None) -> tuple[bytes | None, bytes | None]:
            await store.apply(
                c.PutObjectDocument, bucket=bucket.id, key="k", version=None, name=name, body=body
            )
            found = await store.object(bucket, "k")
            assert (found.etag, found.modified, found.blob) == (before.etag, before.modified, before.blob)
            return found.acl, found.tags

        assert await set_document("acl", b"a") == (b"a", None)
        assert await set_document("tags", b"t") == (b"a", b"t")
        assert await set_document("acl", None) == (None, b"t")
        assert await set_document("tags", None) == (None, None)
        with refused(Reason.NO_SUCH_KEY):
            await store.apply(
                c.PutObjectDocument, bucket=bucket.id, key="nothing", version=None, name="acl", body=b"a"
            )

    @pytest.mark.parametrize("if_match", [("e",), ("other", "e"), ("*",)])
    async def test_if_match_lets_the_etag_it_names_pass(
        self, store: Store, if_match: tuple[str, ...]
    ) -> None:
        """S3-CHECKLIST 33."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", etag="e")
        await store.put(bucket, "k", etag="f", condition=c.Condition(if_match=if_match))
        assert (await store.object(bucket, "k")).etag == "f"

    async def test_deletes_can_be_narrowed_to_size_and_time(self, store: Store) -> None:
        """S3-CHECKLIST 33: a mismatch refuses, an absent key is no match."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", size=5)
        seconds = store.now // 1000
        with refused(Reason.IF_MATCH):
            await store.delete(bucket, "k", match={"size": 4})
        with refused(Reason.IF_MATCH):
            await store.delete(bucket, "k", match={"size": 5, "modified": seconds + 1})
        with refused(Reason.NO_SUCH_KEY):
            await store.delete(bucket, "nothing", match={"size": 5})
        assert await store.delete(bucket, "k", match={"size": 5, "modified": seconds}) is True

    async def test_refusals_change_nothing(self, store: Store) -> None:
        """S3-CHECKLIST 33, 44: whatever was refused, every read answers as before."""
        bucket = await store.make_bucket()
        await store.apply(c.FollowEvents, sinks=("kit",))
        await store.put(bucket, "k", etag="e")
        stale = await store.object(bucket, "k")
        await store.put(bucket, "k", etag="f")
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1)
        before = await store.everything(bucket)
        none_match, match = c.Condition(if_none_match=True), c.Condition(if_match=("e",))
        ids = {"bucket": bucket.id, "key": "k"}
        cases: list[tuple[Reason, type[c.Command], dict[str, Any]]] = [
            (Reason.BUCKET_EXISTS, c.CreateBucket, {"name": "bucket", "owner": "x", "region": "r"}),
            (Reason.BUCKET_NOT_EMPTY, c.DeleteBucket, {"bucket": bucket.id}),
            (Reason.IF_NONE_MATCH, c.CommitObject, {**_body(store), **ids, "condition": none_match}),
            (Reason.IF_MATCH, c.CommitObject, {**_body(store), **ids, "condition": match}),
            (
                Reason.NO_SUCH_KEY,
                c.CommitObject,
                {**_body(store), **ids, "key": "nothing", "condition": c.Condition(if_match=("*",))},
            ),
            (Reason.IF_MATCH, c.DeleteObject, {**ids, "condition": match}),
            (Reason.NO_SUCH_KEY, c.DeleteObject, {**ids, "key": "nothing", "condition": match}),
            (Reason.SOURCE_CHANGED, c.CopyObject, {**_copy(stale), **ids, "key": "copy"}),
            (Reason.IF_NONE_MATCH, c.CopyObject, {**_copy(stale), **ids, "condition": none_match}),
            (
                Reason.SOURCE_CHANGED,
                c.CopyPart,
                {**ids, "upload": upload.id, "number": 1, "start": 0, "length": 1, "etag": "p"}
                | {"source": source_of(stale)},
            ),
            (Reason.UPLOAD_CHANGED, c.CompleteUpload, {**_all(upload.id), **ids, "generation": 0}),
            (
                Reason.IF_NONE_MATCH,
                c.CompleteUpload,
                {**_all(upload.id), **ids, "generation": 1, "condition": none_match},
            ),
            (Reason.NO_SUCH_UPLOAD, c.CompleteUpload, {**_all("other"), **ids, "generation": 1}),
            (Reason.NO_SUCH_UPLOAD, c.AbortUpload, {**ids, "upload": upload.id, "key": "other"}),
        ]
        for reason, kind, values in cases:
            with refused(reason):
                await store.apply(kind, **values)
            assert await store.everything(bucket) == before, (kind.__name__, reason)


def _body(store: Store) -> dict[str, Any]:
    return {"content": store.content(), "etag": "new", "owner": "o", "attributes": Attributes()}


def _copy(source: ObjectRecord) -> dict[str, Any]:
    return {"source": source_of(source), "etag": source.etag, "owner": "o", "attributes": Attributes()}


def _all(upload: str) -> dict[str, Any]:
    return {"upload": upload, "parts": ((1, 1),), "size": 10, "etag": "all", "checksum": None}
