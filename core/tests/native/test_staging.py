"""Writes over an SDK that blocks: one call at a time, whoever waits for it."""

import asyncio
import gc
import weakref

import pytest
from bleepstore.storage import BackendFailed, TokenMismatch, Unsupported
from blocking_service import NAME, SIZE, Write

pytestmark = pytest.mark.anyio


async def come(event):
    assert await asyncio.to_thread(event.wait, 30)


async def turns():
    """Let everything happen that waits for nothing but the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def cancelled(task):
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


async def test_write_is_sealed_and_published(backend, service):
    write = Write(backend)
    await write.write(b"abcdef")
    assert await write.seal() == "of 6"
    blob = await write.publish(expect="")
    assert (blob.name, blob.size, blob.token) == (NAME, 6, "write")
    assert b"".join(service.sent) == b"abcdef"
    assert all(name.startswith("bleepstore-test") for name in service.threads)


async def test_seal_is_done_once(backend, service):
    write = Write(backend)
    await write.seal()
    await write.publish()
    assert service.steps == ["seal", "publish"]


async def test_only_bodies_have_pieces(backend):
    class Copy(Write):
        write = Write.__mro__[1].write

    with pytest.raises(Unsupported):
        await Copy(backend).write(b"x")


async def test_publishing_that_lost_its_condition_can_be_asked_again(backend, service):
    service.token = "old"
    write = Write(backend)
    with pytest.raises(TokenMismatch):
        await write.publish(expect="")
    assert service.token == "old"
    assert (await write.publish(expect="old")).token == "write"
    assert service.steps == ["seal", "publish", "publish"]


@pytest.mark.parametrize("step", ["seal", "publish"])
async def test_what_has_failed_stays_failed(backend, service, step):
    service.fail(step)
    write = Write(backend)
    for _ in range(2):
        with pytest.raises(BackendFailed):
            await write.publish()
    assert service.steps.count(step) == 1


async def test_piece_raises_what_the_one_before_has_raised(backend, service):
    service.fail("send")
    write = Write(backend)
    await write.write(b"x" * (SIZE + 1))
    await asyncio.wait((write._running,))
    for _ in range(2):
        with pytest.raises(BackendFailed):
            await write.write(b"y")
    with pytest.raises(BackendFailed):
        await write.seal()


async def test_next_call_begins_when_the_one_that_was_given_up_is_over(backend, service):
    begun, go = service.hold("send")
    write = Write(backend)
    await write.write(b"x" * (SIZE + 1))
    await come(begun)
    sealing = asyncio.create_task(write.seal())
    await turns()
    await cancelled(sealing)
    again = asyncio.create_task(write.seal())
    await turns()
    assert service.steps == ["send"]
    go.set()
    assert await again == f"of {SIZE + 1}"
    assert service.steps == ["send", "seal", "send"]


async def test_long_writes_have_threads_of_their_own(backend, service):
    class Long(Write):
        long = True

    await Long(backend).publish()
    assert all("-long" in name for name in service.threads)


# --- the end ----------------------------------------------------------------------------------------


async def test_published_object_is_removed_by_a_discard(backend, service):
    write = Write(backend)
    await write.publish()
    await write.discard()
    assert service.token == ""
    assert write.released


async def test_what_another_has_published_since_stays_and_that_is_no_trouble(backend, service, caplog):
    write = Write(backend)
    await write.publish()
    service.token = "another's"
    await write.discard()
    assert service.token == "another's"
    assert caplog.records == []


async def test_same_bytes_over_themselves_stay(backend, service):
    """A token that tells the bytes alone is what a row names already."""
    service.token = "write"
    write = Write(backend)
    await write.publish(expect="write")
    await write.discard()
    assert service.token == "write"


async def test_what_a_publishing_that_was_cancelled_has_published_stays(backend, service):
    """Its caller does not know of it: the core finds it."""
    service.token = "old"
    begun, go = service.hold("publish")
    write = Write(backend)
    publishing = asyncio.create_task(write.publish(expect="old"))
    await come(begun)
    await cancelled(publishing)
    discarding = asyncio.create_task(write.discard())
    await turns()
    assert not discarding.done()
    go.set()
    await discarding
    assert service.token == "write"
    assert "delete" not in service.steps


async def test_discard_waits_for_the_call_under_way(backend, service):
    begun, go = service.hold("send")
    write = Write(backend)
    await write.write(b"x" * (SIZE + 1))
    await come(begun)
    discarding = asyncio.create_task(write.discard())
    await turns()
    assert not discarding.done()
    assert not write.released
    go.set()
    await discarding
    assert write.released


async def test_discard_is_done_to_the_end_when_cancelled_and_once(backend, service):
    write = Write(backend)
    await write.publish()
    begun, go = service.hold("delete")
    discarding = asyncio.create_task(write.discard())
    await come(begun)
    await cancelled(discarding)
    assert not write.released
    go.set()
    await write.discard()
    assert (service.token, service.steps.count("delete")) == ("", 1)


async def test_discard_needs_no_thread_in_time(backend, service, monkeypatch):
    write = Write(backend)
    await write.publish()
    monkeypatch.setattr("bleepstore.native_calls.PATIENCE", -1.0)
    await write.discard()
    assert service.token == ""


async def test_discard_raises_nothing_and_tells_the_log(backend, service, caplog):
    write = Write(backend)
    await write.publish()
    service.fail("delete")
    await write.discard()
    assert [record.name for record in caplog.records] == ["bleepstore.test"]
    assert "write is left to upkeep" in caplog.text
    assert write.released


async def test_write_without_traces_asks_for_nothing(backend, service):
    write = Write(backend)
    await write.write(b"x")
    await write.discard()
    assert service.steps == []
    assert write.released


async def test_settling_lets_go_of_what_is_held(backend):
    write = Write(backend)
    await write.publish()
    await write.settle()
    assert write.released


# --- buffers ----------------------------------------------------------------------------------------


async def test_full_buffer_is_sent_when_more_comes(backend, service):
    write = Write(backend)
    await write.write(b"x" * SIZE)
    assert service.steps == []
    await write.write(b"y")
    await write.seal()
    assert service.sent == [b"x" * SIZE, b"y"]


async def test_next_buffer_is_filled_while_one_is_sent(backend, service):
    begun, go = service.hold("send")
    write = Write(backend)
    await write.write(b"x" * SIZE)
    backend.buffers._limit = 1000
    await write.write(b"y" * SIZE)
    await come(begun)
    third = asyncio.create_task(write.write(b"z"))
    await turns()
    assert not third.done()
    assert sum(backend.buffers._out.values()) == 2 * SIZE
    go.set()
    await third
    await write.seal()
    assert service.sent == [b"x" * SIZE, b"y" * SIZE, b"z"]
    assert service.most == 1


async def test_write_holds_one_buffer_while_they_are_scarce(backend, service):
    others = [backend.buffers.take(SIZE) for _ in range(2)]
    begun, go = service.hold("send")
    write = Write(backend)
    await write.write(b"x" * SIZE)
    second = asyncio.create_task(write.write(b"y"))
    await come(begun)
    assert not second.done()
    assert sum(backend.buffers._out.values()) == 3 * SIZE
    go.set()
    await second
    del others


@pytest.mark.parametrize(("expected", "first"), [(None, SIZE), (0, SIZE), (1, 2), (3, 4), (100, SIZE)])
async def test_first_buffer_has_what_is_expected_in_whole_grains(backend, expected, first):
    write = Write(backend, expected=expected)
    await write.write(b"x")
    assert sum(backend.buffers._out.values()) == first


async def test_size_that_was_told_is_a_hint_only(backend, service):
    write = Write(backend, expected=1)
    await write.write(b"abcdefghij")
    await write.seal()
    assert [len(sent) for sent in service.sent] == [2, SIZE, SIZE]
    assert b"".join(service.sent) == b"abcdefghij"


@pytest.mark.parametrize("end", ["settle", "discard"])
async def test_write_that_is_over_holds_nothing_though_nobody_collects_garbage(backend, end):
    write = Write(backend)
    await write.write(b"x" * (SIZE + 1))
    if end == "settle":
        await write.publish()
    await getattr(write, end)()
    gone = weakref.ref(write)
    gc.collect()
    gc.disable()
    try:
        await backend.calls.stop()  # threads let go of a call a moment after it was answered
        assert not backend.buffers._out
        del write
        assert gone() is None
    finally:
        gc.enable()
