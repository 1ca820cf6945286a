"""What happens at once: conditions, cancelled callers, commands under way at the end."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from bleepstore import commands as c
from bleepstore.metadata import Committed, Reason, Refused
from bleepstore.testing.metadata.store import KitBase, Store

PATIENCE = 30.0
"""Seconds in which what must happen has happened."""


async def outcomes(*calls: Any) -> tuple[list[Any], list[Reason]]:
    """Results and refusals of calls that are made at once; anything else raises."""
    done = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [result.reason for result in done if isinstance(result, Refused)]
    results = [result for result in done if not isinstance(result, Refused)]
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results, refusals


class RaceTests(KitBase):
    """Commands at once."""

    async def test_one_of_many_conditional_writes_wins(self, store: Store) -> None:
        """S3-CHECKLIST 33: ``If-None-Match: *`` is decided with the commit, and never twice."""
        bucket = await store.make_bucket()
        for number in range(5):
            calls = [
                store.put(bucket, f"k-{number}", etag=f"e-{i}", condition=c.Condition(if_none_match=True))
                for i in range(10)
            ]
            won, refusals = await outcomes(*calls)
            assert len(won) == 1
            assert refusals == [Reason.IF_NONE_MATCH] * 9
            assert (await store.object(bucket, f"k-{number}")).etag == won[0].etag

    async def test_one_of_two_conditional_replacements_wins(self, store: Store) -> None:
        """S3-CHECKLIST 33: both read the same ETag, one writes."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", etag="read")
        condition = c.Condition(if_match=("read",))
        won, refusals = await outcomes(
            store.put(bucket, "k", etag="one", condition=condition),
            store.put(bucket, "k", etag="two", condition=condition),
        )
        assert refusals == [Reason.IF_MATCH]
        assert (await store.object(bucket, "k")).etag == won[0].etag

    async def test_upload_completed_twice_at_once_is_one_object(self, store: Store) -> None:
        """S3-CHECKLIST 41: both are told the same."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1)
        won, refusals = await outcomes(*(store.complete(bucket, upload, (1, 1)) for _ in range(2)))
        assert refusals == []
        assert won[0] == won[1]

    async def test_completion_and_a_part_at_once_agree(self, store: Store) -> None:
        """S3-CHECKLIST 41: the part comes before, and completion is refused; or it comes too late."""
        bucket = await store.make_bucket()
        for number in range(5):
            upload = await store.begin(bucket, f"k-{number}")
            await store.part(upload, 1, size=1)
            _, refusals = await outcomes(
                store.part(upload, 1, size=2), store.complete(bucket, upload, (1, 1), generation=1)
            )
            assert refusals in ([Reason.NO_SUCH_UPLOAD], [Reason.UPLOAD_CHANGED])

    async def test_bucket_is_not_deleted_under_an_object(self, store: Store) -> None:
        """Either the object is refused or the bucket is not empty."""
        for number in range(5):
            bucket = await store.make_bucket(f"bucket-{number}")
            _, refusals = await outcomes(
                store.put(bucket, "k"), store.apply(c.DeleteBucket, bucket=bucket.id)
            )
            assert refusals in ([Reason.NO_SUCH_BUCKET], [Reason.BUCKET_NOT_EMPTY])

    async def test_one_of_many_creations_makes_the_bucket(self, store: Store) -> None:
        """The others are told who it was."""
        won, refusals = await outcomes(*(store.make_bucket("b", owner=f"o-{i}") for i in range(5)))
        assert refusals == [Reason.BUCKET_EXISTS] * 4
        assert await store.engine.bucket("b") == won[0]

    async def test_writes_at_once_are_all_kept(self, store: Store) -> None:
        """Each has its own sequence number, and a read after the answer sees it."""
        bucket = await store.make_bucket()

        async def write_and_read(number: int) -> int:
            made = await store.put(bucket, f"{number:04}")
            assert (await store.object(bucket, f"{number:04}")).seq == made.seq
            return made.seq

        seqs, _ = await outcomes(*(write_and_read(number) for number in range(200)))
        assert len(set(seqs)) == 200
        await store.reopen()
        page = await store.engine.list_objects(bucket.id, prefix="", delimiter="", after="", limit=1000)
        assert len(page.entries) == 200

    async def test_command_of_a_cancelled_caller_is_applied(self, store: Store) -> None:
        """A client that hangs up after its command was queued changes nothing: it commits."""
        bucket = await store.make_bucket()
        calls = [asyncio.create_task(store.put(bucket, str(number))) for number in range(20)]
        for _ in range(self.turns_to_queue):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        with anyio.fail_after(PATIENCE):
            for number in range(20):
                # Nobody who could wake this test waits for those commands any more.
                while await store.find(bucket, str(number)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)

    async def test_stop_finishes_what_was_queued(self, store: Store) -> None:
        """Every command gets its answer, and what was answered is there."""
        bucket = await store.make_bucket()
        calls = [asyncio.create_task(store.put(bucket, str(number))) for number in range(100)]
        for _ in range(self.turns_to_queue):
            await asyncio.sleep(0)
        await store.close()
        with anyio.fail_after(PATIENCE):
            done = await asyncio.gather(*calls)
        assert all(isinstance(committed, Committed) for committed in done)
        await store.open()
        for number in range(100):
            await store.object(bucket, str(number))
