"""Blobs are removed when no row names them and nobody reads them, and never before."""

import pytest
from bleepstore.storage import TokenMismatch, Unavailable
from bleepstore.testing.memory import MemoryBackend
from bleepstore.upkeep import rounds
from bleepstore.upkeep.rounds import remove_garbage

pytestmark = pytest.mark.anyio


async def test_overwritten_and_deleted_blobs_go_and_others_stay(services, store, storage, bucket, put_blob):
    await put_blob("overwritten")
    current = await put_blob("overwritten")
    await put_blob("deleted")
    await store.delete(bucket, "deleted")
    assert await remove_garbage(services) == 2
    assert set(storage.memory.blobs) == {current}
    assert await store.garbage() == []
    assert await remove_garbage(services) == 0


async def test_blob_that_is_being_read_stays_until_the_read_ends(services, store, storage, put_blob):
    blob = await put_blob("key")
    with store.engine.reading():
        await put_blob("key")
        assert await remove_garbage(services) == 0
        assert blob in storage.memory.blobs
    assert await remove_garbage(services) == 1
    assert blob not in storage.memory.blobs


async def test_blob_that_another_process_reads_stays(services, store, storage, make_engine, put_blob):
    blob = await put_blob("key")
    worker = make_engine()
    await worker.start()
    assert not worker.is_writer
    with worker.reading():
        await put_blob("key")
        assert await remove_garbage(services) == 0
        assert blob in storage.memory.blobs
    await worker.stop()
    assert await remove_garbage(services) == 1


async def test_reader_that_came_later_holds_nothing_back(services, put_blob, store):
    await put_blob("key")
    await put_blob("key")
    with store.engine.reading():
        assert await remove_garbage(services) == 1


async def test_shared_blob_goes_with_the_last_that_names_it(services, store, storage, bucket, put_blob):
    blob = await put_blob("original")
    await store.copy(bucket, "copy", await store.object(bucket, "original"))
    await store.delete(bucket, "original")
    await remove_garbage(services)
    assert blob in storage.memory.blobs
    await store.delete(bucket, "copy")
    await remove_garbage(services)
    assert blob not in storage.memory.blobs


async def test_blob_that_cannot_be_removed_is_tried_again_and_holds_up_no_other(
    services_of, store, bucket, put_blob, caplog
):
    class Stubborn(MemoryBackend):
        stuck = ""

        async def delete(self, name, *, token=None):
            if name == self.stuck:
                raise Unavailable("not now")
            await super().delete(name, token=token)

    storage = Stubborn()
    services = services_of(storage=storage)
    storage.stuck, other = await put_blob("one"), await put_blob("two")
    storage.memory.blobs = {storage.stuck: b"", other: b""}
    await store.delete(bucket, "one")
    await store.delete(bucket, "two")
    assert await remove_garbage(services) == 1
    assert set(storage.memory.blobs) == set(await store.garbage()) == {storage.stuck}
    assert "not now" in caplog.text
    storage.stuck = ""
    assert await remove_garbage(services) == 1
    assert await store.garbage() == []


async def test_object_that_was_replaced_upstream_is_left_there(services_of, store, bucket, put_blob):
    class Replaced(MemoryBackend):
        async def delete(self, name, *, token=None):
            raise TokenMismatch(name)

    await put_blob("key")
    await store.delete(bucket, "key")
    assert await remove_garbage(services_of(storage=Replaced())) == 1
    assert await store.garbage() == []


async def test_round_that_was_cut_off_is_repeated(services, store, storage, bucket, put_blob):
    """Removed, and the record still there: as after a crash between the two."""
    blob = await put_blob("key")
    await store.delete(bucket, "key")
    await storage.delete(blob)
    assert await remove_garbage(services) == 1
    assert await store.garbage() == []


async def test_one_round_goes_by_batches_oldest_first(services_of, store, bucket, put_blob, monkeypatch):
    """What cannot be removed is passed by, though it fills whole batches."""
    monkeypatch.setattr(rounds, "BATCH", 2)

    class Stubborn(MemoryBackend):
        def __init__(self):
            super().__init__()
            self.asked = []

        async def delete(self, name, *, token=None):
            self.asked.append(name)
            if len(self.asked) <= 4:
                raise Unavailable("not now")

    storage = Stubborn()
    blobs = [await put_blob(str(number)) for number in range(7)]
    for number in (1, 0, 2, 3, 6, 5, 4):
        await store.delete(bucket, str(number))
    dropped = [blobs[number] for number in (1, 0, 2, 3, 6, 5, 4)]
    assert await remove_garbage(services_of(storage=storage)) == 3
    assert storage.asked == dropped
    assert await store.garbage() == sorted(dropped[:4])


async def test_fault_of_another_kind_is_not_swallowed(services_of, store, bucket, put_blob):
    class Broken(MemoryBackend):
        async def delete(self, name, *, token=None):
            raise ValueError("a bug")

    await put_blob("key")
    await store.delete(bucket, "key")
    with pytest.raises(ValueError, match="a bug"):
        await remove_garbage(services_of(storage=Broken()))
    assert len(await store.garbage()) == 1
