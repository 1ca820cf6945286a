"""Several writers of one key: the last one wins as on S3, and nobody is told of a conflict."""

import asyncio
from typing import Any

import pytest
from bleepstore.commands import DeleteObject
from bleepstore.gateway import engines, writes
from bleepstore.gateway.engines import LEASE
from bleepstore.gateway.keys import KeyLocks
from bleepstore.metadata import MetadataBusy
from bleepstore.storage import Unavailable
from bleepstore.testing.memory_upstream import Pause
from bleepstore.upkeep.rounds import resolve_intents

pytestmark = pytest.mark.anyio


async def reached(pause: Pause) -> None:
    async with asyncio.timeout(10):
        await pause.reached.wait()


async def agree(server) -> None:
    row = await server.row("key")
    assert row.token == server.upstream.objects["bucket/key"].token
    assert await server.get("/bucket/key") == server.upstream.objects["bucket/key"].data
    assert await server.intents() == []
    assert server.upstream.traces() == ["bucket/key"]


async def test_all_writers_of_a_key_succeed_and_one_is_the_last(server):
    answers = await asyncio.gather(*(server.send("PUT", "/bucket/key", b"%d" % n) for n in range(30)))
    assert [answer.status for answer in answers] == [200] * 30
    await agree(server)
    assert len(server.gateway.keys) == 0


async def test_writers_in_two_processes_all_succeed(launch):
    """Workers of one server: the intent of one makes the other wait."""
    servers = [await launch(), await launch()]
    answers = await asyncio.gather(*(servers[n % 2].send("PUT", "/bucket/key", b"%d" % n) for n in range(20)))
    assert [answer.status for answer in answers] == [200] * 20
    await agree(servers[0])


async def test_one_of_many_conditional_writers_wins(launch):
    servers = [await launch(), await launch()]
    answers = await asyncio.gather(
        *(servers[n % 2].send("PUT", "/bucket/key", b"%d" % n, if_none_match="*") for n in range(20))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 19
    await agree(servers[0])


async def test_writers_and_deleters_at_once_leave_row_and_upstream_alike(launch):
    servers = [await launch(), await launch()]
    for _ in range(5):
        requests = []
        for n, server in enumerate(servers * 5):
            requests.append(server.send("PUT", "/bucket/key", b"%d" % n))
            requests.append(server.send("DELETE", "/bucket/key"))
        answers = await asyncio.gather(*requests)
        assert {answer.status for answer in answers} == {200, 204}
        row = await servers[0].row("key")
        held = servers[0].upstream.objects.get("bucket/key")
        assert (row and row.token) == (held and held.token)
    assert await servers[0].intents() == []


async def test_writes_of_different_keys_do_not_wait_for_each_other(server):
    pause = server.upstream.pause("publish")
    first = asyncio.create_task(server.put("/bucket/one", b"body"))
    await reached(pause)
    await server.put("/bucket/two", b"body")
    pause.resume()
    await first


@pytest.fixture
def impatient(monkeypatch) -> None:
    pauses = engines.pauses
    monkeypatch.setattr("bleepstore.gateway.writes.pauses", lambda: pauses(0.05))


async def test_writer_that_stands_still_in_another_process_is_503(launch, impatient):
    one, two = await launch(), await launch()
    pause = one.upstream.pause("publish")
    first = asyncio.create_task(one.put("/bucket/key", b"one"))
    await reached(pause)
    answer = await two.send("PUT", "/bucket/key", b"two")
    assert (answer.status, answer.code) == (503, "SlowDown")
    assert (await two.send("GET", "/bucket/key")).status == 404
    pause.resume()
    await first
    await agree(one)


async def test_intent_older_than_its_lease_is_resolved_though_its_process_lives(launch, impatient):
    """The late writer is told that it does not know its outcome; the other one stays."""
    one, two = await launch(), await launch()
    await one.put("/bucket/key", b"old")
    pause = one.upstream.pause("publish")
    late = asyncio.create_task(one.send("PUT", "/bucket/key", b"late"))
    await reached(pause)
    clock = two.gateway.engines.clock
    two.gateway.engines.clock = lambda: clock() + LEASE + 1
    await two.put("/bucket/key", b"two")
    pause.resume()
    assert (await late).status in (200, 500, 503)
    two.gateway.engines.clock = clock
    await agree(two)


async def test_intent_of_a_dead_process_is_resolved_at_once(launch):
    one, two = await launch(), await launch()
    assert one.engine.is_writer
    pause = two.upstream.pause("publish")
    request = asyncio.create_task(two.send("PUT", "/bucket/key", b"two"))
    await reached(pause)
    assert len(await one.intents()) == 1
    for task in list(two.gateway._tasks):
        task.cancel()
    await two.stop()
    await asyncio.gather(request, return_exceptions=True)
    await one.put("/bucket/key", b"one")
    assert await one.get("/bucket/key") == b"one"
    assert await one.intents() == []


# --- clients that are gone ----------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["publish", "publish answered"])
async def test_client_that_hangs_up_after_reserve_changes_nothing(server, point):
    await server.put("/bucket/key", b"old")
    pause = server.upstream.pause(point)
    _, writer = await server.connect()
    writer.write(b"PUT /bucket/key HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nnew")
    await reached(pause)
    writer.transport.abort()
    for _ in range(100):
        await asyncio.sleep(0)
    pause.resume()
    async with asyncio.timeout(10):
        while await server.intents():
            await asyncio.sleep(0.001)
    assert await server.get("/bucket/key") == b"new"
    await agree(server)


async def test_caller_that_is_cancelled_cancels_nothing(server):
    """Whatever gives up a request: the server that stops, a copy that nobody waits for."""
    await server.put("/bucket/key", b"old")
    pause = server.upstream.pause("delete")
    bucket = await server.bucket()
    command = DeleteObject(id="d", at=1, bucket=bucket.id, key="key")
    caller = asyncio.create_task(server.gateway.delete(bucket, command))
    await reached(pause)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    pause.resume()
    await server.gateway.stop()
    assert (await server.row("key"), await server.intents()) == (None, [])
    assert server.upstream.traces() == []


async def test_client_that_hangs_up_before_leaves_nothing(server):
    await server.put("/bucket/key", b"old")
    pause = server.upstream.pause("write")
    _, writer = await server.connect()
    writer.write(b"PUT /bucket/key HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3000000\r\n\r\n")
    writer.write(bytes(2_000_000))
    await reached(pause)
    writer.transport.abort()
    pause.resume()
    async with asyncio.timeout(10):
        while server.upstream.traces() != ["bucket/key"]:
            await asyncio.sleep(0.001)
    await agree(server)


async def test_stop_waits_for_what_was_begun(server, launch):
    pause = server.upstream.pause("publish")
    _, writer = await server.connect()
    writer.write(b"PUT /bucket/key HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nnew")
    await reached(pause)
    writer.transport.abort()
    stopping = asyncio.create_task(server.stop())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not stopping.done()
    pause.resume()
    await stopping
    server = await launch()
    assert await server.intents() == []
    assert await server.get("/bucket/key") == b"new"


async def test_stop_does_not_wait_for_ever(server, launch, monkeypatch, caplog):
    monkeypatch.setattr(writes, "GRACE", 0.01)
    await server.put("/bucket/key", b"old")
    pause = server.upstream.pause("publish answered")
    put = asyncio.create_task(server.send("PUT", "/bucket/key", b"new"))
    await reached(pause)
    await server.gateway.stop()
    assert "are cut off" in caplog.text
    await asyncio.gather(put, return_exceptions=True)
    await server.stop()
    server = await launch()
    assert await resolve_intents(server.services) == 1
    assert await server.get("/bucket/key") == b"new"
    await agree(server)


# --- the engine ---------------------------------------------------------------------------------------


async def test_full_queue_does_not_make_a_published_write_forgotten(server, monkeypatch):
    apply, refused = server.engine.apply, iter([True, True])

    async def busy(command: Any) -> Any:
        if type(command).__name__ == "CommitObject" and next(refused, False):
            raise MetadataBusy("the queue is full")
        return await apply(command)

    monkeypatch.setattr(server.engine, "apply", busy)
    await server.put("/bucket/key", b"body")
    await agree(server)


# --- locks --------------------------------------------------------------------------------------------


async def test_turns_come_in_order_and_locks_go_with_the_last():
    locks, order = KeyLocks(), []

    async def take(n: int) -> None:
        async with locks.hold("key"):
            order.append(n)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(n) for n in range(10)))
    assert order == list(range(10))
    assert len(locks) == 0


async def test_whoever_waits_too_long_or_is_cancelled_leaves_the_turns_alone():
    locks = KeyLocks()
    async with locks.hold("key"):
        with pytest.raises(Unavailable):
            async with locks.hold("key", patience=0.001):
                raise AssertionError
        waiting = asyncio.create_task(locks.hold("key").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(locks) == 1
    assert len(locks) == 0
