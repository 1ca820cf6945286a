"""Scrub finds what is wrong and nothing else, whatever happens while it looks."""

import asyncio
import sqlite3
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from bleepstore.metadata import MetadataUnavailable
from bleepstore.storage import Blob, Damaged, Unavailable
from bleepstore.testing.memory import MemoryBackend
from bleepstore.upkeep import scrub as room
from bleepstore.upkeep.rounds import remove_garbage
from bleepstore.upkeep.scrub import Finding, Kind, Scrub

pytestmark = pytest.mark.anyio


class Disk(MemoryBackend):
    """A backend whose blobs can rot, and whose reads can be watched."""

    def __init__(self) -> None:
        super().__init__()
        self.rotten: set[str] = set()
        self.unreadable: set[str] = set()
        self.read: list[str] = []
        self.during: dict[str, Callable[[], Any]] = {}

    async def verify(self, blob: Blob) -> None:
        self.read.append(blob.name)
        if act := self.during.pop(blob.name, None):
            await act()
        if blob.name in self.rotten and blob.name in self.memory.blobs:
            raise Damaged(f"block 0 of blob {blob.name} is not what was written")
        if blob.name in self.unreadable:
            raise Unavailable("not now")
        await super().verify(blob)


@pytest.fixture
async def storage(store) -> Disk:
    disk = Disk()
    await disk.start(store.engine.store_id, fresh=True)
    return disk


@pytest.fixture
def put(store, storage, bucket) -> Callable[..., Any]:
    """An object of one stored blob, with a name as the core makes them."""

    async def put(key: str, ending: int = 0, **values: Any) -> str:
        blob = f"{store.stamp()['id'][2:]}{ending:02x}"
        await stage(storage, blob)
        await store.put(bucket, key, blob=blob, **values)
        storage.memory.writing.discard(blob)
        return blob

    return put


async def stage(storage: MemoryBackend, name: str) -> None:
    """A blob that is published and in flight."""
    staged = await storage.stage(name)
    await staged.write(b"0123456789")
    await staged.publish()


@pytest.fixture
def scrub(services) -> Callable[..., Any]:
    """``scrub(...)``: what it finds, by kind and blob."""

    async def scrub(**options: Any) -> list[Finding]:
        found: list[Finding] = []
        work = Scrub(services, found.append, **options)
        await work.run()
        assert sum(work.totals.found.values()) == len(found)
        assert work.progress == 1.0
        return found

    return scrub


def told(found: Sequence[Finding]) -> set[tuple[str, str]]:
    assert len({finding.blob for finding in found}) == len(found)
    return {(finding.kind.value, finding.blob) for finding in found}


def keys(finding: Finding) -> set[tuple[str, str]]:
    return {(holder.bucket, holder.key) for holder in finding.holders}


# --- what is found ------------------------------------------------------------------------------------------


async def test_store_in_order_is_clean_and_read_once(scrub, storage, store, bucket, put):
    """However many rows name a blob; garbage and writes in flight are nobody's finding."""
    blob = await put("k", 3)
    other = await put("other", 200)
    for n in range(5):
        await store.copy(bucket, f"copy{n}", await store.object(bucket, "k"))
    await put("gone")
    await store.delete(bucket, "gone")
    await store.put(bucket, "inline", data=b"small")
    await stage(storage, "f" * 32)
    assert await scrub() == []
    assert sorted(storage.read) == sorted([blob, other])


async def test_damage_is_told_with_all_that_it_belongs_to(scrub, storage, store, bucket, put):
    blob, other = await put("k"), await store.make_bucket("other")
    await put("whole")
    source = await store.object(bucket, "k")
    await store.copy(other, "copy", source)
    upload = await store.begin(bucket, "m")
    await store.copy_part(upload, 1, source, 0, 5)
    storage.rotten.add(blob)
    (found,) = await scrub()
    assert (found.kind, found.blob, found.moved) == (Kind.DAMAGED, blob, None)
    assert keys(found) == {("bucket", "k"), ("other", "copy"), ("bucket", "m")}
    assert "block 0" in found.detail
    assert blob in storage.memory.blobs


async def test_missing_and_unreadable_blobs_are_told_apart(scrub, storage, put):
    missing, unreadable, _ = await put("missing", 1), await put("unreadable", 2), await put("whole", 3)
    del storage.memory.blobs[missing]
    storage.unreadable.add(unreadable)
    found = await scrub(quarantine=True, trash=True)
    assert told(found) == {("missing", missing), ("unreadable", unreadable)}
    held = {finding.blob: keys(finding) for finding in found}
    assert held == {missing: {("bucket", "missing")}, unreadable: {("bucket", "unreadable")}}
    assert storage.memory.aside == {}


async def test_damaged_and_missing_inline_bytes_are_found(scrub, store, bucket, tmp_path: Path):
    for key in ("whole", "flipped", "absent"):
        await store.put(bucket, key, data=b"small", blob=f"inline-{key}")
    await store.copy(bucket, "copy", await store.object(bucket, "flipped"))
    database = sqlite3.connect(tmp_path / "metadata.db")
    database.execute("UPDATE inline SET data = x'536d616c6c' WHERE blob = 'inline-flipped'")
    database.execute("DELETE FROM inline WHERE blob = 'inline-absent'")
    database.commit()
    database.close()
    found = await scrub()
    assert told(found) == {("damaged", "inline-flipped"), ("damaged", "inline-absent")}
    assert {frozenset(keys(one)) for one in found} == {
        frozenset({("bucket", "flipped"), ("bucket", "copy")}),
        frozenset({("bucket", "absent")}),
    }


async def test_strangers_are_what_no_row_names_and_nobody_writes(scrub, storage, put):
    kept = await put("k", 7)
    for name in ("a" * 32, "b" * 32):
        storage.memory.blobs[name] = b"x"
    await stage(storage, "c" * 32)
    assert told(await scrub()) == {("stranger", "a" * 32), ("stranger", "b" * 32)}
    assert {"a" * 32, "b" * 32, kept} <= set(storage.memory.blobs)


# --- what is done about it ----------------------------------------------------------------------------------


async def test_damage_goes_to_quarantine_and_strangers_to_trash_when_asked(scrub, storage, put):
    """Nothing is deleted, and a second scrub finds the blob missing and the stranger gone."""
    blob, stranger = await put("k"), "a" * 32
    storage.rotten.add(blob)
    storage.memory.blobs[stranger] = b"x"
    found = {finding.blob: finding.moved for finding in await scrub(quarantine=True, trash=True)}
    assert found == {blob: f"quarantine/{blob}", stranger: f"trash/{stranger}"}
    assert set(storage.memory.aside) == set(found.values())
    assert told(await scrub(quarantine=True, trash=True)) == {("missing", blob)}


@pytest.mark.parametrize("options", [{"trash": True}, {"quarantine": True}])
async def test_each_is_asked_for_by_itself(scrub, storage, put, options):
    blob, stranger = await put("k"), "a" * 32
    storage.rotten.add(blob)
    storage.memory.blobs[stranger] = b"x"
    await scrub(**options)
    assert (stranger in storage.memory.blobs) is ("trash" not in options)
    assert (blob in storage.memory.blobs) is ("quarantine" not in options)


async def test_stranger_that_comes_back_is_whole(scrub, storage, store, bucket):
    """Rows may come back from a backup, and want what was set aside."""
    await stage(storage, "a" * 32)
    storage.memory.writing.clear()
    (found,) = await scrub(trash=True)
    await store.put(bucket, "k", blob="a" * 32)
    assert told(await scrub()) == {("missing", "a" * 32)}
    storage.memory.blobs["a" * 32] = storage.memory.aside.pop(found.moved)
    assert await scrub() == []


async def test_quick_look_reads_no_bytes(scrub, storage, put):
    rotten, missing = await put("rotten"), await put("missing")
    storage.rotten.add(rotten)
    del storage.memory.blobs[missing]
    storage.memory.blobs["a" * 32] = b"x"
    assert told(await scrub(read=False)) == {("missing", missing), ("stranger", "a" * 32)}
    assert storage.read == []


# --- beside a living server ---------------------------------------------------------------------------------


async def test_blob_that_was_dropped_and_removed_meanwhile_is_not_missing(
    scrub, services, storage, store, bucket, put
):
    first, second = await put("first"), await put("second")

    async def drop() -> None:
        for key in ("first", "second"):
            await store.delete(bucket, key)
        assert await remove_garbage(services) == 2

    storage.during = {first: drop}
    assert await scrub(at_once=1) == []
    assert set(storage.read) == {first, second}


async def test_damaged_blob_that_nothing_names_any_more_is_nobodys(scrub, storage, store, bucket, put):
    blob = await put("k")
    storage.rotten.add(blob)
    storage.during = {blob: lambda: store.delete(bucket, "k")}
    assert await scrub() == []


async def test_damage_that_a_second_look_does_not_see_is_none(scrub, storage, put):
    blob = await put("k")
    storage.rotten.add(blob)
    look = storage.verify

    async def once(blob: Blob) -> None:
        try:
            await look(blob)
        finally:
            storage.rotten.clear()

    storage.verify = once
    assert await scrub(quarantine=True) == []
    assert storage.read == [blob, blob]


async def test_blob_is_not_removed_under_the_second_look(scrub, services, storage, store, bucket, put):
    """Between the rows' answer and the backend's, its garbage is held back."""
    blob = await put("k")
    storage.rotten.add(blob)
    looks = 0
    look = storage.verify

    async def second(found: Blob) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            storage.rotten.clear()
            await store.delete(bucket, "k")
            assert await remove_garbage(services) == 0
        await look(found)

    storage.verify = second
    assert await scrub() == []
    assert looks == 2


@pytest.mark.parametrize("end", ["commit", "discard", "keep"])
async def test_write_that_ends_while_scrub_looks_is_no_stranger(scrub, storage, store, bucket, put, end):
    """The order of the looks is what counts: journals, rows, backend."""
    await put("k")
    name = "a" * 32
    staged = await storage.stage(name)
    await staged.write(b"0123456789")
    await staged.publish()
    asked = storage.in_flight

    async def and_then_it_ends() -> Any:
        if end == "commit":
            await store.put(bucket, "late", blob=name)
            await staged.settle()
        elif end == "discard":
            await staged.discard()
        return await asked()

    storage.in_flight = and_then_it_ends
    assert await scrub(trash=True) == []
    assert (name in storage.memory.blobs) is (end != "discard")


async def test_write_that_began_and_ended_meanwhile_is_no_stranger(scrub, storage, store, bucket, put):
    blob = await put("k")

    async def write() -> None:
        await put("late", 9)

    storage.during = {blob: write}
    assert await scrub(trash=True) == []


async def test_metadata_that_cannot_be_read_ends_it(services_of, store, bucket, storage, put):
    await put("k")

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(store.engine, name)

        async def blobs(self, endings: range) -> Any:
            async for blob in store.engine.blobs(endings):
                yield blob
            raise MetadataUnavailable("malformed")

    with pytest.raises(MetadataUnavailable, match="malformed"):
        await Scrub(services_of(metadata=Broken()), print).run()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "scrub"]


# --- slices -------------------------------------------------------------------------------------------------


async def test_slices_find_what_the_whole_finds(scrub, services, storage, put, store, bucket, monkeypatch):
    """Also where batches are small."""
    blobs = [await put(f"k{n}", ending=n * 8) for n in range(32)]
    storage.rotten.update(blobs[::3])
    for name in blobs[1::3]:
        del storage.memory.blobs[name]
    strangers = [f"{'a' * 30}{ending:02x}" for ending in range(0, 256, 50)]
    storage.memory.blobs.update(dict.fromkeys(strangers, b"x"))
    expected = {("damaged", blob) for blob in blobs[::3]} | {("missing", blob) for blob in blobs[1::3]}
    expected |= {("stranger", name) for name in strangers}
    assert told(await scrub()) == expected
    found: list[Finding] = []
    work = Scrub(services, found.append, at_once=1)
    for ending in range(256):
        await work.slice(range(ending, ending + 1))
    assert told(found) == expected
    monkeypatch.setattr(room, "SLICE", 5)
    monkeypatch.setattr(room, "BATCH", 2)
    storage.read.clear()
    assert told(await scrub()) == expected


async def test_memory_holds_one_slice(services_of, storage, store, bucket, monkeypatch):
    """Thousands of blobs, small slices: what is held at once does not grow with the store."""
    monkeypatch.setattr(room, "SLICE", 100)
    monkeypatch.setattr("bleepstore.sqlite.scan.PAGE", 100)

    class Folder(MemoryBackend):
        async def names(self, endings: range) -> list[str]:
            return [f" {name}"[1:] for name in await super().names(endings)]  # a folder gives new texts

    async def peak(blobs: int) -> int:
        for n in range(len(storage.memory.blobs), blobs):
            name = f"{n:030x}{n % 256:02x}"
            storage.memory.blobs[name] = b""
            await store.put(bucket, f"k{n}", blob=name)
        work = Scrub(services_of(storage=Folder(storage.memory)), print)
        tracemalloc.start()
        await work.run()
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert work.totals.blobs == blobs
        return held

    few = await peak(500)
    assert await peak(4000) < few * 2
