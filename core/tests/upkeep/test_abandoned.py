"""What dead processes left: removed when no row knows it, one round after it was first seen."""

import pytest
from bleepstore.storage import BackendFailed, StorageBackend
from bleepstore.testing.memory import MemoryBackend
from bleepstore.upkeep.rounds import AbandonedWrites

pytestmark = pytest.mark.anyio


class Left(MemoryBackend):
    """A backend in which dead processes had blobs in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.stuck = ""

    def leave(self, *names: str) -> None:
        for name in names:
            self.memory.blobs[name] = b"x"
            self.names.append(name)

    async def abandoned(self):
        return list(self.names)

    async def resolve(self, names):
        self.names = [name for name in self.names if name not in names]

    async def delete(self, name, *, token=None):
        if name == self.stuck:
            raise BackendFailed("a bad sector")
        await super().delete(name, token=token)


@pytest.fixture
def left() -> Left:
    return Left()


@pytest.fixture
def services(services_of, left: StorageBackend):
    return services_of(storage=left)


async def test_unknown_names_are_removed_a_round_after_they_were_seen(services, left):
    """A command that their process sent before it died may still be on its way."""
    writes = AbandonedWrites()
    left.leave("unknown")
    assert await writes.round(services) == 0
    assert (set(left.memory.blobs), left.names) == ({"unknown"}, ["unknown"])
    left.leave("later")
    assert await writes.round(services) == 1
    assert (set(left.memory.blobs), left.names) == ({"later"}, ["later"])
    assert await writes.round(services) == 1
    assert (set(left.memory.blobs), left.names) == (set(), [])
    assert await writes.round(services) == 0


async def test_names_that_rows_know_are_kept_and_forgotten(services, left, store, bucket):
    writes = AbandonedWrites()
    left.leave("object", "part", "garbage", "nobody's")
    await store.put(bucket, "key", blob="object")
    await store.part(await store.begin(bucket, "key"), 1, blob="part")
    await store.put(bucket, "gone", blob="garbage")
    await store.delete(bucket, "gone")
    await writes.round(services)
    assert await writes.round(services) == 1
    assert (set(left.memory.blobs), left.names) == ({"object", "part", "garbage"}, [])


async def test_row_that_came_after_the_first_round_counts(services, left, store, bucket):
    writes = AbandonedWrites()
    left.leave("late")
    await writes.round(services)
    await store.put(bucket, "key", blob="late")
    assert await writes.round(services) == 0
    assert (set(left.memory.blobs), left.names) == ({"late"}, [])


async def test_name_that_cannot_be_removed_stays_noted_and_holds_up_no_other(services, left, caplog):
    writes = AbandonedWrites()
    left.leave("a", "b", "c")
    left.stuck = "b"
    await writes.round(services)
    assert await writes.round(services) == 2
    assert (set(left.memory.blobs), left.names) == ({"b"}, ["b"])
    assert "a bad sector" in caplog.text
    left.stuck = ""
    assert await writes.round(services) == 1
    assert (set(left.memory.blobs), left.names) == (set(), [])
