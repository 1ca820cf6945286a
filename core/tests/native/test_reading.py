"""Reads over an SDK that blocks: whole ranges, one ahead."""

import asyncio
import gc
import threading

import pytest
from bleepstore.native_calls import Calls
from bleepstore.native_reading import FIRST, PIECE, RANGE, RangeReader
from bleepstore.storage import BackendFailed, Blob
from blocking_service import Refusal, faults

pytestmark = pytest.mark.anyio

SIZE = FIRST + 2 * RANGE + 5
BLOB = Blob(name="bucket/key", size=SIZE, token="t")


class Reader(RangeReader):
    def __init__(self, calls: Calls, start: int = 0, length: int | None = None, size: int = SIZE) -> None:
        super().__init__(calls, Blob(name="bucket/key", size=size, token="t"), start, length)
        self.fetched: list[tuple[int, int]] = []
        self.begun = threading.Semaphore(0)
        self.free = threading.Semaphore(1000)
        self.refused: int | None = None

    def fetch_blocking(self, start: int, want: int) -> bytes:
        self.fetched.append((start, want))
        self.begun.release()
        assert self.free.acquire(timeout=30)
        if len(self.fetched) == self.refused:
            raise Refusal("no")
        return bytes(start + n & 255 for n in range(want)) if want < 100 else bytes(want)


@pytest.fixture
async def calls():
    calls = Calls("test", 2, faults)
    yield calls
    await calls.stop()


async def test_span_is_read_in_ranges_the_first_of_them_small(calls):
    reader = await Reader(calls).begin()
    pieces = [piece async for piece in reader]
    assert sum(map(len, pieces)) == SIZE
    assert max(map(len, pieces)) == PIECE
    assert reader.fetched == [
        *((0, FIRST), (FIRST, RANGE), (FIRST + RANGE, RANGE)),
        (FIRST + 2 * RANGE, 5),
    ]
    await reader.close()


@pytest.mark.parametrize(
    ("start", "length", "fetched", "data"),
    [
        (2, 3, (2, 3), b"\2\3\4"),
        (8, None, (8, 2), b"\x08\x09"),
        (8, 50, (8, 2), b"\x08\x09"),
        (10, None, (10, 0), b""),
        (50, 1, (50, 0), b""),
        (3, 0, (3, 0), b""),
    ],
)
async def test_span_is_a_slice_and_an_empty_one_is_asked_about(calls, start, length, fetched, data):
    reader = await Reader(calls, start, length, size=10).begin()
    assert b"".join([piece async for piece in reader]) == data
    assert reader.fetched == [fetched]


async def test_what_cannot_be_read_is_known_at_once(calls):
    reader = Reader(calls)
    reader.refused = 1
    with pytest.raises(BackendFailed):
        await reader.begin()


async def test_fault_in_the_middle_is_raised_after_the_bytes_before(calls):
    reader = Reader(calls)
    reader.refused = 2
    pieces = aiter(await reader.begin())
    assert len(await anext(pieces)) == FIRST
    with pytest.raises(BackendFailed):
        await anext(pieces)
    await reader.close()


async def test_one_range_is_fetched_ahead_and_no_more(calls):
    reader = await Reader(calls).begin()
    pieces = aiter(reader)
    await anext(pieces)
    for _ in range(2):
        assert await asyncio.to_thread(reader.begun.acquire, timeout=30)
    assert len(reader.fetched) == 2
    await reader.close()


@pytest.mark.parametrize("refused", [None, 2])
async def test_fetch_whose_reader_is_closed_ends_by_itself(calls, refused):
    reader = Reader(calls)
    reader.refused = refused
    await reader.begin()
    reader.free = threading.Semaphore(0)
    pieces = aiter(reader)
    await anext(pieces)
    await reader.close()
    await reader.close()
    reader.free.release()
    await calls.stop()
    assert len(reader.fetched) == 2


async def test_beginning_that_is_cancelled_leaves_its_fetch_to_itself(calls):
    forgotten = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: forgotten.append(context))
    reader = Reader(calls)
    reader.refused = 1
    reader.free = threading.Semaphore(0)
    beginning = asyncio.create_task(reader.begin())
    assert await asyncio.to_thread(reader.begun.acquire, timeout=30)
    running = reader._running
    beginning.cancel()
    await asyncio.wait((beginning,))
    assert beginning.cancelled()
    assert not running.done()
    reader.free.release()
    await asyncio.wait((running,))
    del reader, running, beginning
    gc.collect()
    assert forgotten == []
