"""Listings against a sorted list: order, prefixes, delimiters, markers, and pages of every size."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from bleepstore.metadata import BucketRecord, Listing, ObjectEntry, UploadRecord
from bleepstore.testing.metadata.store import KitBase, Store, entry_of

LETTERS = ("a", "b", "/", "//", "é", "\uffff", "\U0001f600", " ", "\x01", "~")
DELIMITERS = ("", "/", "//", "a", "b/", "é", "\U0001f600")
LIMITS = (1, 2, 3, 7, 1000)


def common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """What a key is rolled up into, if it is."""
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if at < 0 else key[: at + len(delimiter)]


def model_listing(keys: Iterable[str], prefix: str, delimiter: str, after: str) -> list[str]:
    """The names of a listing without an end, by the definition and without any cleverness."""
    entries: list[str] = []
    for key in sorted(keys, key=str.encode):
        rolled = common_prefix(key, prefix, delimiter)
        if not key.startswith(prefix) or key.encode() <= after.encode() or (rolled and rolled == after):
            continue
        name = rolled or key
        if name not in entries:
            entries.append(name)
    return entries


def names(page: Listing[ObjectEntry]) -> list[str]:
    """The keys and common prefixes of a page."""
    return [entry if isinstance(entry, str) else entry.key for entry in page.entries]


class ListingTests(KitBase):
    """Pages of objects and of uploads."""

    async def test_listing_equals_a_sorted_list(self, store: Store) -> None:
        """S3-CHECKLIST 19, 20, 21, 22: every prefix, delimiter and marker, and any page size."""
        chance = random.Random(4)  # noqa: S311 - the same keys every time
        bucket = await store.make_bucket()
        keys = sorted({_key(chance) for _ in range(60)})
        for key in keys:
            await store.put(bucket, key)
        for _ in range(150):
            prefix, after = (chance.choice(("", _key(chance)[:2], chance.choice(keys))) for _ in range(2))
            delimiter = chance.choice(DELIMITERS)
            if chance.random() < 0.3:
                after = common_prefix(chance.choice(keys), prefix, delimiter) or after
            wanted = model_listing(keys, prefix, delimiter, after)
            asked = (prefix, delimiter, after)
            for limit in LIMITS:
                page = await self._page(store, bucket, *asked, limit)
                assert names(page) == wanted[:limit], (asked, limit)
                assert page.truncated is (len(wanted) > limit), (asked, limit)

    async def test_pages_follow_one_another_without_gap_or_repeat(self, store: Store) -> None:
        """S3-CHECKLIST 20: the next page begins after the last name, which can be a common prefix."""
        bucket = await store.make_bucket()
        keys = [f"{top}/{middle}/{key}" for top in "abc" for middle in "xy" for key in "12"] + [
            "a",
            "b/",
            "z",
        ]
        for key in keys:
            await store.put(bucket, key)
        for prefix, delimiter in (("", ""), ("", "/"), ("a/", "/"), ("b", "/"), ("", "x/")):
            for limit in LIMITS:
                found: list[str] = []
                truncated = True
                while truncated:
                    page = await self._page(
                        store, bucket, prefix, delimiter, found[-1] if found else "", limit
                    )
                    found += names(page)
                    truncated = page.truncated
                assert found == model_listing(keys, prefix, delimiter, ""), (prefix, delimiter, limit)

    async def test_listing_says_of_an_object_what_its_record_says(self, store: Store) -> None:
        """Without its bytes: a page must not cost what the objects weigh."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", data=b"small" if self.inline else None)
        page = await self._page(store, bucket, "", "", "", 10)
        assert list(page.entries) == [entry_of(await store.object(bucket, "k"))]

    async def test_listing_shows_one_bucket_and_its_present_state(self, store: Store) -> None:
        """Neither what was deleted nor what is another bucket's."""
        bucket, other = await store.make_bucket("one"), await store.make_bucket("two")
        await store.put(other, "of-another")
        await store.put(bucket, "gone")
        await store.put(bucket, "there")
        await store.delete(bucket, "gone")
        assert names(await self._page(store, bucket, "", "", "", 10)) == ["there"]

    async def test_uploads_are_listed_by_key_and_then_by_age(self, store: Store) -> None:
        """S3-CHECKLIST 43: markers are a key, or a key and one of its uploads."""
        bucket = await store.make_bucket()
        begun = [await store.begin(bucket, key) for key in ("b", "a/1", "b", "a/2", "é", "b", "a")]
        ordered = sorted(begun, key=lambda upload: (upload.key.encode(), upload.created))
        for limit in LIMITS:
            assert await self._walk_uploads(store, bucket, limit) == ordered, limit
        page = await store.engine.list_uploads(bucket.id, prefix="", delimiter="", after=("b", ""), limit=10)
        assert list(page.entries) == [upload for upload in ordered if upload.key > "b"]
        page = await store.engine.list_uploads(bucket.id, prefix="", delimiter="/", after=("", ""), limit=2)
        assert (page.entries[1], page.truncated) == ("a/", True)
        page = await store.engine.list_uploads(
            bucket.id, prefix="", delimiter="/", after=("a/", ""), limit=10
        )
        assert list(page.entries) == [upload for upload in ordered if upload.key > "a/~"]

    async def test_upload_listing_goes_on_after_one_that_is_gone(self, store: Store) -> None:
        """S3-CHECKLIST 43: the marker of the last page may have been aborted meanwhile."""
        bucket = await store.make_bucket()
        begun = [await store.begin(bucket, "k") for _ in range(4)]
        await store.abort(begun[1])
        page = await store.engine.list_uploads(
            bucket.id, prefix="", delimiter="", after=("k", begun[1].id), limit=10
        )
        assert list(page.entries) == begun[2:]

    async def test_uploads_that_ended_are_not_listed(self, store: Store) -> None:
        """S3-CHECKLIST 41: neither completed nor aborted ones."""
        bucket = await store.make_bucket()
        done, dropped, left = [await store.begin(bucket, "k") for _ in range(3)]
        await store.part(done, 1)
        await store.complete(bucket, done, (1, 1))
        await store.abort(dropped)
        page = await store.engine.list_uploads(bucket.id, prefix="", delimiter="", after=("", ""), limit=10)
        assert list(page.entries) == [left]

    async def _page(
        self, store: Store, bucket: BucketRecord, prefix: str, delimiter: str, after: str, limit: int
    ) -> Listing[ObjectEntry]:
        return await store.engine.list_objects(
            bucket.id, prefix=prefix, delimiter=delimiter, after=after, limit=limit
        )

    async def _walk_uploads(
        self, store: Store, bucket: BucketRecord, limit: int
    ) -> Sequence[UploadRecord | str]:
        found: list[UploadRecord | str] = []
        after = ("", "")
        while True:
            page = await store.engine.list_uploads(
                bucket.id, prefix="", delimiter="", after=after, limit=limit
            )
            found += page.entries
            if not page.truncated:
                return found
            last = page.entries[-1]
            assert isinstance(last, UploadRecord)
            after = (last.key, last.id)


def _key(chance: random.Random) -> str:
    return "".join(chance.choice(LETTERS) for _ in range(chance.randint(1, 5)))
