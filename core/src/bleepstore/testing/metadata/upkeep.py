"""Garbage, what is known of blobs, and events for sinks."""

from __future__ import annotations

from collections.abc import Sequence

from bleepstore import commands as c
from bleepstore.events import Event
from bleepstore.metadata import Reason
from bleepstore.testing.metadata.store import KitBase, Store, refused


class UpkeepTests(KitBase):
    """What background tasks rely on."""

    async def test_garbage_comes_oldest_first_until_it_is_forgotten(self, store: Store) -> None:
        """Also after a restart: what was not removed is told again."""
        bucket = await store.make_bucket()
        for number in range(5):
            await store.put(bucket, "k", blob=f"old-{number}")
        dropped = await store.engine.garbage(10)
        assert [found.blob for found in dropped] == ["old-0", "old-1", "old-2", "old-3"]
        assert [found.seq for found in dropped] == sorted({found.seq for found in dropped})
        assert await store.engine.garbage(2) == dropped[:2]
        await store.forget("old-0", "old-2")
        await store.reopen()
        assert await store.garbage() == ["old-1", "old-3"]

    async def test_reading_holds_back_what_is_dropped_meanwhile(self, store: Store) -> None:
        """Who streams a body must find every blob that the row named."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", blob="read")
        with store.engine.reading():
            await store.put(bucket, "k", blob="next")
            assert await store.garbage() == []
        assert await store.garbage() == ["read"]

    async def test_readings_overlap(self, store: Store) -> None:
        """The one that began first may end last, and the other way round."""
        bucket = await store.make_bucket()
        first, second = store.engine.reading(), store.engine.reading()
        await store.put(bucket, "k", blob="1")
        with first:
            await store.put(bucket, "k", blob="2")
            with second:
                await store.put(bucket, "k", blob="3")
            assert await store.garbage() == []
        assert await store.garbage() == ["1", "2"]
        third, fourth = store.engine.reading(), store.engine.reading()
        third.__enter__()
        await store.put(bucket, "k", blob="4")
        fourth.__enter__()
        third.__exit__(None, None, None)
        await store.put(bucket, "k", blob="5")
        assert "4" not in await store.garbage()
        fourth.__exit__(None, None, None)
        assert await store.garbage() == ["1", "2", "3", "4"]

    async def test_reading_ends_when_the_body_fails(self, store: Store) -> None:
        """Or garbage would stay for ever."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", blob="read")
        try:
            with store.engine.reading():
                await store.delete(bucket, "k")
                raise ConnectionError("the client is gone")
        except ConnectionError:
            pass
        assert await store.garbage() == ["read"]

    async def test_known_blobs_are_those_that_any_row_names(self, store: Store) -> None:
        """Objects, unfinished parts, and garbage that was not forgotten."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", blob="current")
        await store.put(bucket, "gone", blob="dropped")
        await store.put(bucket, "gone", blob="forgotten")
        await store.delete(bucket, "gone")
        await store.forget("forgotten")
        upload = await store.begin(bucket, "m")
        await store.part(upload, 1, blob="part")
        asked = ["current", "dropped", "forgotten", "part", "stranger"]
        assert await store.engine.known(asked) == {"current", "dropped", "part"}
        assert await store.engine.known([]) == set()

    # --- scrub ------------------------------------------------------------------------------------------

    async def test_blobs_are_all_that_rows_need(self, store: Store) -> None:
        """With the size of the whole blob; garbage is not among them."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", blob="dropped")
        await store.put(bucket, "k", blob="current", size=11)
        upload = await store.begin(bucket, "m")
        await store.part(upload, 1, blob="part", size=12)
        await store.copy_part(upload, 2, await store.object(bucket, "k"), 3, 4)
        done = await store.begin(bucket, "n")
        await store.part(done, 4, blob="done", size=13)
        await store.complete(bucket, done, (4, 4))
        found = {(blob.name, blob.size) async for blob in store.engine.blobs()}
        assert found == {("current", 11), ("part", 12), ("done", 13)}

    async def test_blobs_come_by_the_ends_of_their_names(self, store: Store) -> None:
        """Any slices give all of them, and each one alone."""
        bucket = await store.make_bucket()
        names = {f"{n:030x}{ending}" for n, ending in enumerate(("00", "0f", "10", "7f", "80", "a9", "ff"))}
        for number, name in enumerate(sorted(names)):
            upload = await store.begin(bucket, f"m{number}")
            if number % 2:
                await store.part(upload, 1, blob=name)
            else:
                await store.put(bucket, f"k{number}", blob=name)
        slices = (range(0x10), range(0x10, 0x80), range(0x80, 0xFF), range(0xFF, 0x100))
        found = [{blob.name async for blob in store.engine.blobs(slice)} for slice in slices]
        assert [len(part) for part in found] == [2, 2, 2, 1]
        assert set().union(*found) == names
        assert {name[-2:] for name in found[1]} == {"10", "7f"}

    async def test_holders_are_whatever_names_a_blob_now(self, store: Store) -> None:
        """Objects, their copies, lists, and parts of unfinished uploads."""
        bucket, other = await store.make_bucket(), await store.make_bucket("other")
        await store.put(bucket, "k", blob="one")
        await store.put(bucket, "gone", blob="dropped")
        await store.delete(bucket, "gone")
        source = await store.object(bucket, "k")
        await store.copy(other, "copy", source)
        done = await store.begin(bucket, "list")
        await store.copy_part(done, 1, source, 0, 5)
        await store.part(done, 2, blob="two")
        await store.complete(bucket, done, (1, 2))
        upload = await store.begin(other, "m")
        await store.copy_part(upload, 7, source, 5, 5)
        held = await store.engine.holders(["one", "two", "dropped", "stranger"])
        assert {(found.blob, found.bucket, found.key, found.upload) for found in held} == {
            ("one", "bucket", "k", None),
            ("one", "other", "copy", None),
            ("one", "bucket", "list", None),
            ("two", "bucket", "list", None),
            ("one", "other", "m", upload.id),
        }
        assert len(held) == 5
        assert list(await store.engine.holders([])) == []

    # --- events -----------------------------------------------------------------------------------------

    async def test_events_are_kept_for_who_follows_them(self, store: Store) -> None:
        """From then on, with what happened, in order."""
        bucket = await store.make_bucket()
        await store.put(bucket, "before")
        await store.apply(c.FollowEvents, sinks=("kit",))
        put = await store.put(bucket, "k", size=5, etag="e")
        at = store.now
        await store.copy(bucket, "copy", await store.object(bucket, "k"))
        await store.delete(bucket, "k")
        upload = await store.begin(bucket, "m")
        await store.part(upload, 1)
        await store.complete(bucket, upload, (1, 1))
        events = await store.engine.events("kit", 100)
        assert events[0] == Event(
            seq=put.seq,
            name="s3:ObjectCreated:Put",
            bucket="bucket",
            key="k",
            size=5,
            etag="e",
            at=at,
        )
        assert _told(events) == [
            ("s3:ObjectCreated:Put", "k"),
            ("s3:ObjectCreated:Copy", "copy"),
            ("s3:ObjectRemoved:Delete", "k"),
            ("s3:ObjectCreated:CompleteMultipartUpload", "m"),
        ]
        assert [event.seq for event in events] == sorted({event.seq for event in events})

    async def test_what_changed_nothing_is_no_event(self, store: Store) -> None:
        """Neither refusals nor a delete of what was not there."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k")
        await store.apply(c.FollowEvents, sinks=("kit",))
        with refused(Reason.IF_NONE_MATCH):
            await store.put(bucket, "k", condition=c.Condition(if_none_match=True))
        await store.delete(bucket, "nothing")
        assert await store.engine.events("kit", 100) == []

    async def test_cursors_move_apart_and_survive_a_restart(self, store: Store) -> None:
        """A sink that is behind loses nothing, and a cursor never goes back."""
        bucket = await store.make_bucket()
        await store.apply(c.FollowEvents, sinks=("fast", "slow"))
        seqs = [(await store.put(bucket, str(number))).seq for number in range(4)]
        await store.apply(c.MoveCursor, sink="fast", seq=seqs[2])
        await store.apply(c.MoveCursor, sink="fast", seq=seqs[0])
        await store.reopen()
        await store.apply(c.FollowEvents, sinks=("fast", "slow"))
        assert [event.seq for event in await store.engine.events("fast", 100)] == seqs[3:]
        assert [event.seq for event in await store.engine.events("slow", 100)] == seqs
        assert [event.seq for event in await store.engine.events("slow", 2)] == seqs[:2]

    async def test_events_end_with_the_sinks_that_follow(self, store: Store) -> None:
        """A sink that was removed and comes back begins anew."""
        bucket = await store.make_bucket()
        await store.apply(c.FollowEvents, sinks=("kit",))
        await store.put(bucket, "missed")
        await store.apply(c.FollowEvents, sinks=())
        await store.put(bucket, "unseen")
        await store.apply(c.FollowEvents, sinks=("kit",))
        await store.put(bucket, "seen")
        events = await store.engine.events("kit", 100)
        assert _told(events) == [("s3:ObjectCreated:Put", "seen")]
        assert await store.engine.events("stranger", 100) == []


def _told(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(event.name, event.key) for event in events]
