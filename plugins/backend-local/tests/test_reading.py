"""Reading: the bytes that were written, or an error; and a reader that goes leaves nothing open."""

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from bleepstore.storage import BackendFailed, Blob, Damaged
from bleepstore.testing.storage import MIB, open_files, random_bytes
from bleepstore_backend_local import backend, reading
from bleepstore_backend_local.backend import LocalBackend
from bleepstore_backend_local.format import BLOCK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
SIZE = MIB + 2 * BLOCK + 77
"""More than one piece, and not a whole number of blocks."""
DATA = random_bytes(SIZE)

places = st.one_of(
    st.integers(0, SIZE),
    st.builds(int.__add__, st.sampled_from((BLOCK, MIB, MIB + BLOCK, SIZE - 10)), st.integers(-2, 2)),
)
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def blob(put) -> Blob:
    return await put(DATA)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """All reads are done in threads, as where the system's cache has nothing."""
    monkeypatch.setattr(reading, "RWF_NOWAIT", 0)


@pytest.fixture(params=["cached", "threads"])
def way(request: pytest.FixtureRequest) -> None:
    """Reads on the event loop, and in threads."""
    if request.param == "threads":
        request.getfixturevalue("threads")


class Calls:
    """Which reads are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        self.cached: list[int] = []
        pread, preadv = os.pread, os.preadv
        monkeypatch.setattr(os, "pread", lambda *args: (self.threads.append(args[2]), pread(*args))[1])
        monkeypatch.setattr(os, "preadv", lambda *args: (self.cached.append(args[2]), preadv(*args))[1])


async def whole(storage: LocalBackend, blob: Blob) -> bytes:
    reader = await storage.open(blob)
    data = b"".join([piece async for piece in reader])
    await reader.close()
    return data


def uncache(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def taken(storage: LocalBackend, blob: Blob, start: int = 0, length: int | None = None) -> bytes | None:
    """What a read gives until it ends or the damage is found; ``None`` when that is at once."""
    try:
        reader = await storage.open(blob, start, length)
    except Damaged:
        return None
    found = b""
    try:
        async for piece in reader:
            found += piece
    except Damaged:
        assert len(found) < (SIZE - start if length is None else length)
    finally:
        await reader.close()
    return found


def change(path: Path, place: int, mask: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ mask]))


@many
@given(
    place=st.one_of(places, st.integers(SIZE, SIZE + 95)),
    mask=st.integers(1, 255),
    start=places,
    length=places,
)
async def test_any_changed_byte_is_found_or_outside_of_the_span(
    way, storage, blob, place: int, mask: int, start: int, length: int
):
    """Wherever it is, in bytes or trailer, no wrong byte is ever handed out."""
    end = min(start + length, SIZE)
    path = storage.path(blob.name)
    place = min(place, path.stat().st_size - 1)
    change(path, place, mask)
    try:
        found = await taken(storage, blob, start, length)
    finally:
        change(path, place, mask)
    if start <= place < end or place >= SIZE:
        assert found is None or len(found) < end - start
    if found is not None:
        assert DATA[start:end].startswith(found)
        if not start - BLOCK < place < end + BLOCK:
            assert found == DATA[start:end]


@many
@given(size=st.one_of(places, st.integers(SIZE, SIZE + 95)))
async def test_file_of_another_length_is_found_when_opened(way, storage, blob, size: int):
    path = storage.path(blob.name)
    whole = path.read_bytes()
    size = min(size, len(whole) - 1)
    try:
        for wrong in (whole[:size], whole + whole[size:]):
            path.write_bytes(wrong)
            with pytest.raises(Damaged):
                await storage.open(blob, 0, 1)
    finally:
        path.write_bytes(whole)


async def test_empty_file_is_damage_and_not_an_empty_object(way, storage, put):
    """What a file system may leave of a file that was never synced."""
    blob = await put(b"")
    storage.path(blob.name).write_bytes(b"")
    with pytest.raises(Damaged):
        await storage.open(blob)


async def test_blob_of_another_name_is_found_though_it_is_whole(way, storage, put):
    """One with as many bytes cannot be told apart: names are the metadata's to know."""
    long, short = await put(b"x" * 100), await put(b"x" * 99)
    storage.path(short.name).rename(storage.path(long.name))
    with pytest.raises(Damaged):
        await storage.open(long)


async def test_trailer_of_another_blob_is_found(way, storage, put):
    one, other = await put(b"1" * 1000), await put(b"2" * 1000)
    first, second = storage.path(one.name).read_bytes(), storage.path(other.name).read_bytes()
    storage.path(one.name).write_bytes(first[:1000] + second[1000:])
    with pytest.raises(Damaged, match=f"block 0 of blob {one.name}"):
        await storage.open(one)


async def test_damage_after_the_first_piece_comes_after_the_right_bytes(way, storage, blob):
    change(storage.path(blob.name), MIB + 5, 1)
    assert await taken(storage, blob) == DATA[:MIB]


async def test_what_is_cached_asks_no_thread(storage, blob, monkeypatch):
    calls = Calls(monkeypatch)
    assert await whole(storage, blob) == DATA
    assert calls.threads == []


async def test_long_spans_are_read_ahead_by_threads(storage, put, monkeypatch):
    data = random_bytes(reading.CACHED_SPAN + 1)
    blob = await put(data)
    calls = Calls(monkeypatch)
    assert await whole(storage, blob) == data
    assert calls.cached == []


async def test_what_is_not_cached_is_read_by_threads(storage, blob, monkeypatch):
    uncache(storage.path(blob.name))
    calls = Calls(monkeypatch)
    assert await whole(storage, blob) == DATA
    assert 0 in calls.threads


async def test_rest_that_is_not_cached_is_read_by_threads(storage, blob, monkeypatch):
    """The file's end with the trailer is cached, and its first half megabyte."""
    calls = Calls(monkeypatch)
    preadv = os.preadv

    def of_some(file: int, buffers: tuple[bytearray], at: int, flags: int) -> int:
        if MIB // 2 <= at < SIZE:
            raise BlockingIOError
        return preadv(file, buffers, at, flags)

    monkeypatch.setattr(os, "preadv", of_some)
    assert await whole(storage, blob) == DATA
    assert calls.threads == [MIB // 2]


async def test_where_opening_was_slow_others_are_opened_by_threads(storage, blob, monkeypatch):
    monkeypatch.setattr(backend, "NOTICEABLE", -1.0)
    calls = Calls(monkeypatch)
    assert await whole(storage, blob) == DATA
    assert calls.threads == []
    assert await whole(storage, blob) == DATA
    assert 0 in calls.threads
    monkeypatch.setattr(storage, "_threads_until", 0.0)
    calls.threads.clear()
    assert await whole(storage, blob) == DATA
    assert calls.threads == []


async def test_disk_that_cannot_be_read_is_a_failure(threads, storage, blob, monkeypatch):
    def fail(*_: Any) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    before = open_files()
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(BackendFailed, match="Input/output error"):
        await storage.open(blob)
    assert open_files() == before


async def test_reader_outlives_the_removal_of_its_blob(way, storage, blob):
    reader = await storage.open(blob)
    await storage.delete(blob.name)
    assert b"".join([piece async for piece in reader]) == DATA
    await reader.close()


async def test_second_close_does_not_close_what_has_its_number_now(storage, blob, tmp_path):
    reader = await storage.open(blob)
    await reader.close()
    with (tmp_path / "another").open("wb") as another:
        await reader.close()
        os.fstat(another.fileno())


async def test_reading_on_after_close_is_no_silent_end(threads, storage, put):
    reader = await storage.open(await put(random_bytes(3 * MIB)))
    pieces = aiter(reader)
    await anext(pieces)
    await reader.close()
    with pytest.raises(BackendFailed):
        [piece async for piece in pieces]


class Held:
    """Holds reads in their threads, and notes which descriptors they use."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = threading.Event()
        self.files: list[int] = []
        read = os.pread

        def held(file: int, size: int, at: int) -> bytes:
            self.files.append(file)
            assert self.opened.wait(30)
            return read(file, size, at)

        monkeypatch.setattr(os, "pread", held)

    async def wait(self) -> None:
        while not self.files:
            await asyncio.sleep(0)


async def test_close_waits_for_the_read_under_way(threads, storage, blob, monkeypatch):
    before = open_files()
    reader = await storage.open(blob)
    held = Held(monkeypatch)
    pieces = aiter(reader)
    await anext(pieces)
    await held.wait()
    closing = asyncio.create_task(reader.close())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not closing.done()
    os.fstat(held.files[0])  # still open under the read
    held.opened.set()
    await closing
    assert open_files() == before


async def test_close_that_is_cancelled_closes_when_the_read_is_over(threads, storage, blob, monkeypatch):
    before = open_files()
    reader = await storage.open(blob)
    held = Held(monkeypatch)
    pieces = aiter(reader)
    await anext(pieces)
    await held.wait()
    closing = asyncio.create_task(reader.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait((closing,))
    assert closing.cancelled()
    held.opened.set()
    await reader.close()
    assert open_files() == before


async def test_cancelled_read_leaves_its_file_open_until_it_is_over(threads, storage, blob, monkeypatch):
    before = open_files()
    reader = await storage.open(blob)
    pieces = aiter(reader)
    await anext(pieces)
    held = Held(monkeypatch)
    reading = asyncio.create_task(anext(pieces, b""))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait((reading,))
    held.opened.set()
    await reader.close()
    assert open_files() == before


async def test_open_that_is_cancelled_closes_what_it_opens(threads, storage, blob, monkeypatch):
    before = open_files()
    held = Held(monkeypatch)
    opening = asyncio.create_task(storage.open(blob))
    await held.wait()
    opening.cancel()
    await asyncio.wait((opening,))
    assert opening.cancelled()
    held.opened.set()
    async with asyncio.timeout(10):
        while open_files() > before:
            await asyncio.sleep(0)
