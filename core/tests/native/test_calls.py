"""Calls of an SDK that blocks: threads that are bounded, and memory that waits for them."""

import asyncio
import gc
import threading

import pytest
from bleepstore.native_calls import STATUSES, Buffers, Calls
from bleepstore.storage import BackendFailed, StorageFault, Unavailable
from blocking_service import Refusal, faults

pytestmark = pytest.mark.anyio


@pytest.fixture
async def calls():
    calls = Calls("test", 1, faults)
    yield calls
    await calls.stop()


def refuse() -> None:
    raise Refusal("no")


@pytest.mark.parametrize("kind", ["run", "run_long", "finish"])
async def test_call_runs_in_a_thread_of_the_service(calls, kind):
    name = await getattr(calls, kind)("a call", lambda: threading.current_thread().name)
    assert name.startswith("bleepstore-test")


async def test_error_of_the_sdk_is_a_fault_that_says_what_the_call_was_for(calls):
    with pytest.raises(BackendFailed, match=r"^the call: no$") as caught:
        await calls.run("the call", refuse)
    assert isinstance(caught.value.__cause__, Refusal)


async def test_no_more_calls_than_threads_at_once():
    calls = Calls("test", 2, faults)
    both, go, most = threading.Barrier(3), threading.Event(), []

    def call() -> None:
        most.append(threading.current_thread().name)
        both.wait(30)
        go.wait(30)

    running = [calls.run("a call", call) for _ in range(2)]
    await asyncio.to_thread(both.wait, 30)
    third = calls.run("a call", lambda: most.append("the third"))
    assert "the third" not in most
    go.set()
    await asyncio.gather(*running, third)
    assert most[-1] == "the third"
    assert len(set(most)) == 3
    await calls.stop()


async def test_long_calls_keep_no_short_one_waiting_where_they_have_threads_of_their_own():
    calls = Calls("test", 1, faults, long=1)
    go = threading.Event()
    long = calls.run_long("a long call", go.wait, 30)
    assert await calls.run("a call", lambda: 1) == 1
    go.set()
    await long
    await calls.stop()


async def test_call_that_finds_no_thread_in_time_is_not_begun_but_one_that_must_be_is(calls, monkeypatch):
    monkeypatch.setattr("bleepstore.native_calls.PATIENCE", -1.0)
    begun = []
    with pytest.raises(Unavailable, match="all calls to the service are waiting"):
        await calls.run("a call", begun.append, 1)
    await calls.finish("a call", begun.append, 2)
    assert begun == [2]


async def test_stopping_waits_for_calls_under_way_and_begins_none(calls):
    come, go, done = threading.Event(), threading.Event(), []

    def call() -> None:
        come.set()
        go.wait(30)
        done.append(1)

    running = calls.run("a call", call)
    await asyncio.to_thread(come.wait, 30)
    stopping = asyncio.create_task(calls.stop())
    while True:
        try:
            late = calls.run("late", done.append, 2)
        except Unavailable:
            break
        late.cancel()
        await asyncio.sleep(0)
    assert not stopping.done()
    go.set()
    await stopping
    await running
    assert done == [1]


def test_statuses_of_trouble_pass_and_none_is_lasting_by_mistake():
    assert {status for status, fault in STATUSES.items() if fault is Unavailable} == {
        *(408, 429, 500, 502, 503, 504)
    }
    assert all(issubclass(fault, StorageFault) for fault in STATUSES.values())


# --- memory -----------------------------------------------------------------------------------------


def test_buffer_takes_what_it_has_room_for():
    block = Buffers(4, 8).take(4)
    assert block.append(memoryview(b"ab")) == 2
    assert (block.room, len(block)) == (2, 2)
    assert block.append(memoryview(b"cdef")) == 2
    assert (block.room, block[:], block[1:3]) == (0, b"abcd", b"bc")


def test_slice_of_a_buffer_is_of_what_is_filled():
    block = Buffers(4, 8).take(4)
    block.append(memoryview(b"ab"))
    assert (block[:], block[1:10], block[2:]) == (b"ab", b"b", b"")


def test_buffer_is_used_again_when_nobody_holds_it():
    buffers = Buffers(100, 250)
    first, second = buffers.take(100), buffers.take(50)
    data = first.data
    assert not buffers.scarce
    third = buffers.take(100)
    assert buffers.scarce
    assert third.data is not data
    del first, second
    assert not buffers.scarce
    again = buffers.take(100)
    assert again.data is data
    assert (again.room, len(again)) == (100, 0)


def test_no_more_than_half_the_limit_is_kept_for_later():
    buffers = Buffers(100, 400)
    held = [buffers.take(100) for _ in range(4)]
    datas = [block.data for block in held]
    held.clear()
    again = [buffers.take(100) for _ in range(4)]
    assert sum(any(block.data is data for data in datas) for block in again) == 2


def test_buffer_of_another_size_is_not_kept():
    buffers = Buffers(100, 400)
    data = buffers.take(50).data
    assert buffers.take(50).data is not data


def test_buffers_of_many_threads_are_never_the_same():
    buffers = Buffers(8, 1 << 20)
    wrong, begin = [], threading.Barrier(8)

    def use(mark: bytes) -> None:
        begin.wait(30)
        for _ in range(500):
            block = buffers.take(8)
            block.append(memoryview(mark * 8))
            if block[:] != mark * 8:
                wrong.append(mark)
            del block

    threads = [threading.Thread(target=use, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert wrong == []
    assert not buffers._out
