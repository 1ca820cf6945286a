"""Buckets, their documents, and listings of an owner's buckets."""

from __future__ import annotations

from bleepstore import commands as c
from bleepstore.metadata import BucketRecord, Reason
from bleepstore.testing.metadata.store import OWNER, KitBase, Store, refused


class BucketTests(KitBase):
    """Commands and reads of buckets."""

    async def test_first_start_makes_a_store_and_later_ones_find_it(self, store: Store) -> None:
        """The store id never changes, and a store is fresh until something is recorded in it."""
        identity = store.engine.store_id
        assert identity
        assert store.engine.fresh
        await store.reopen()
        assert store.engine.fresh
        await store.make_bucket("b")
        await store.reopen()
        assert (store.engine.store_id, store.engine.fresh) == (identity, False)

    async def test_stop_is_idempotent(self, store: Store) -> None:
        """A server that could not start stops what it has."""
        await store.engine.stop()
        await store.engine.stop()

    async def test_inline_is_what_the_author_says(self, store: Store) -> None:
        """Or tests of inline bytes would pass by not being run."""
        assert store.engine.inline is self.inline

    async def test_bucket_is_read_as_it_was_made(self, store: Store) -> None:
        """By name, and after a restart."""
        made = await store.make_bucket("b", acl=b"<acl/>", documents={"tagging": b"<t/>", "cors": b"<c/>"})
        assert (made.name, made.owner, made.region) == ("b", OWNER, "us-east-1")
        assert made.acl == b"<acl/>"
        assert made.documents == {"tagging", "cors"}
        assert await store.engine.bucket("b") == made
        assert await store.engine.bucket_document(made.id, "tagging") == b"<t/>"
        await store.reopen()
        assert await store.engine.bucket("b") == made
        assert await store.engine.bucket_document(made.id, "cors") == b"<c/>"

    async def test_absent_bucket_is_none(self, store: Store) -> None:
        """For every read that names one."""
        assert await store.engine.bucket("nobody") is None
        assert await store.engine.object("nobody", "key") == (None, None)
        assert await store.engine.upload("nobody", "key", "upload") == (None, None)

    async def test_bucket_that_exists_is_refused_with_its_owner(self, store: Store) -> None:
        """S3 answers an owner otherwise than anybody else."""
        made = await store.make_bucket("b", owner="somebody")
        with refused(Reason.BUCKET_EXISTS) as caught:
            await store.make_bucket("b", owner="another")
        assert caught.value.detail == "somebody"
        assert await store.engine.bucket("b") == made

    async def test_bucket_with_objects_is_not_deleted(self, store: Store) -> None:
        """And neither are its objects."""
        bucket = await store.make_bucket()
        await store.put(bucket, "key")
        with refused(Reason.BUCKET_NOT_EMPTY):
            await store.apply(c.DeleteBucket, bucket=bucket.id)
        await store.object(bucket, "key")
        await store.delete(bucket, "key")
        await store.apply(c.DeleteBucket, bucket=bucket.id)
        assert await store.engine.bucket("bucket") is None

    async def test_bucket_goes_with_its_pending_uploads(self, store: Store) -> None:
        """Their parts are garbage; S3 refuses only while objects exist."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "key")
        await store.part(upload, 1, blob="of-a-part")
        await store.apply(c.DeleteBucket, bucket=bucket.id)
        assert await store.garbage() == ["of-a-part"]
        again = await store.make_bucket()
        assert (await store.engine.upload(again.name, "key", upload.id))[1] is None

    async def test_new_bucket_of_an_old_name_is_another(self, store: Store) -> None:
        """A command that speaks of the old one is refused, whatever it wants."""
        old = await store.make_bucket()
        await store.apply(c.DeleteBucket, bucket=old.id)
        new = await store.make_bucket()
        assert new.id != old.id
        with refused(Reason.NO_SUCH_BUCKET):
            await store.put(old, "key")
        with refused(Reason.NO_SUCH_BUCKET):
            await store.delete(old, "key")
        with refused(Reason.NO_SUCH_BUCKET):
            await store.begin(old, "key")
        with refused(Reason.NO_SUCH_BUCKET):
            await store.apply(c.PutBucketDocument, bucket=old.id, name="cors", body=b"x")
        with refused(Reason.NO_SUCH_BUCKET):
            await store.apply(c.DeleteBucket, bucket=old.id)
        assert await store.find(new, "key") is None

    async def test_documents_are_set_replaced_and_removed(self, store: Store) -> None:
        """``acl`` is in the record itself; removing what is not there succeeds."""
        bucket = await store.make_bucket()

        async def set_document(name: str, body: bytes | None) -> BucketRecord:
            await store.apply(c.PutBucketDocument, bucket=bucket.id, name=name, body=body)
            found = await store.engine.bucket(bucket.name)
            assert found is not None
            return found

        assert (await set_document("cors", b"1")).documents == {"cors"}
        assert (await set_document("tagging", b"2")).documents == {"cors", "tagging"}
        assert (await set_document("cors", b"3")).documents == {"cors", "tagging"}
        assert await store.engine.bucket_document(bucket.id, "cors") == b"3"
        assert (await set_document("cors", None)).documents == {"tagging"}
        assert (await set_document("cors", None)).documents == {"tagging"}
        assert await store.engine.bucket_document(bucket.id, "cors") is None
        assert (await set_document("acl", b"<acl/>")).acl == b"<acl/>"
        found = await set_document("acl", None)
        assert found.acl is None
        assert found.documents == {"tagging"}

    async def test_buckets_are_listed_by_owner_prefix_and_page(self, store: Store) -> None:
        """Every page size gives the same names in the same order, and no other owner's."""
        names = ["a", "a-b", "a.b", "ab", "abc", "b", "ba", "c"]
        for name in reversed(names):
            await store.make_bucket(name)
        await store.make_bucket("ab-of-another", owner="another")
        for prefix in ("", "a", "ab", "b", "z", "c"):
            wanted = [name for name in names if name.startswith(prefix)]
            for limit in (1, 2, 3, len(wanted) or 1, 1000):
                assert await self._walk(store, prefix, limit) == wanted, (prefix, limit)

    async def test_buckets_of_everybody_are_listed_by_page(self, store: Store) -> None:
        """For an engine that has ``all_buckets``: each bucket once, in order, whoever owns it."""
        names = ["a", "ab-of-another", "abc", "b"]
        for name in reversed(names):
            await store.make_bucket(name, owner="another" if "another" in name else OWNER)
        for limit in (1, 2, 1000):
            found: list[str] = []
            while True:
                page = await store.engine.all_buckets(after=found[-1] if found else "", limit=limit)
                assert len(page.entries) <= limit
                found += [entry.name for entry in page.entries if isinstance(entry, BucketRecord)]
                if not page.truncated:
                    break
            assert found == names

    async def _walk(self, store: Store, prefix: str, limit: int) -> list[str]:
        found: list[str] = []
        while True:
            page = await store.engine.list_buckets(
                OWNER, prefix=prefix, after=found[-1] if found else "", limit=limit
            )
            assert len(page.entries) <= limit
            for entry in page.entries:
                assert isinstance(entry, BucketRecord)
                found.append(entry.name)
            if not page.truncated:
                return found
