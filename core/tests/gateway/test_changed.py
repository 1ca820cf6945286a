"""What others change upstream, behind the gateway's back: it is adopted, and never a lasting error."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bleepstore.storage import TokenMismatch
from bleepstore.testing.memory_upstream import Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["generations", "ETags"])
def upstream(request) -> Upstream:
    return Upstream(content_tokens=request.param)


def called(server, point: str) -> bool:
    return any(call == point for call, _ in server.upstream.calls)


async def test_changed_object_is_read_as_it_is_now(server):
    await server.put(
        "/bucket/key", b"ours", x_amz_meta_who="us", x_amz_acl="public-read", x_amz_tagging="a=b"
    )
    before = await server.row("key")
    theirs = server.upstream.put(
        "bucket", "key", b"theirs", headers={"content-type": "text/x"}, metadata={"who": "them"}
    )
    answer = await server.send("GET", "/bucket/key")
    assert (answer.status, answer.body) == (200, b"theirs")
    assert answer.headers["etag"] == f'"{theirs.etag}"'
    assert (answer.headers["content-type"], answer.headers["x-amz-meta-who"]) == ("text/x", "them")
    assert answer.headers["x-amz-tagging-count"] == "1"
    after = await server.row("key")
    assert (after.acl, after.tags, after.owner) == (before.acl, before.tags, before.owner)
    assert after.acl is not None
    assert (after.token, after.modified, after.size) == (theirs.token, theirs.modified, 6)
    assert after.attributes.checksum is None
    assert (await server.send("HEAD", "/bucket/key")).headers["content-length"] == "6"


@pytest.mark.parametrize("body", [b"", b"ours", bytes(1_000_000)])
async def test_removed_object_becomes_no_such_key_and_its_row_goes(server, body):
    await server.put("/bucket/key", body)
    server.upstream.remove("bucket", "key")
    assert (await server.send("GET", "/bucket/key")).code == "NoSuchKey"
    assert await server.row("key") is None
    assert (await server.send("HEAD", "/bucket/key")).status == 404


async def test_empty_object_that_was_filled_is_read_as_it_is_now(server):
    await server.put("/bucket/key", b"")
    server.upstream.put("bucket", "key", b"theirs")
    assert await server.get("/bucket/key") == b"theirs"


async def test_range_of_a_changed_object_is_of_the_new_one(server):
    await server.put("/bucket/key", b"0123456789")
    server.upstream.put("bucket", "key", b"abc")
    assert (await server.send("GET", "/bucket/key", range="bytes=5-6")).code == "InvalidRange"
    assert await server.get("/bucket/key", range="bytes=1-9") == b"bc"


async def test_precondition_of_a_read_is_decided_on_what_is_there(server):
    etag = (await server.put("/bucket/key", b"ours")).headers["etag"]
    server.upstream.put("bucket", "key", b"theirs")
    assert (await server.send("GET", "/bucket/key", if_match=etag)).status == 412


@pytest.fixture
def no_digests(server, monkeypatch) -> None:
    """An upstream that knows no MD5 of what it holds."""
    stat = server.gateway.storage.stat

    async def knows_none(name: str) -> Any:
        found = await stat(name)
        return found and replace(found, etag=None)

    monkeypatch.setattr(server.gateway.storage, "stat", knows_none)


async def test_object_without_digests_gets_the_etag_of_its_bytes(server, no_digests):
    await server.put("/bucket/key", b"ours")
    server.upstream.put("bucket", "key", body := bytes(3_000_000))
    answer = await server.send("GET", "/bucket/key")
    assert answer.headers["etag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert answer.body == body


async def test_many_readers_of_a_changed_object_adopt_it_once(server, no_digests):
    """And read it once for its digest."""
    await server.put("/bucket/key", b"ours")
    server.upstream.put("bucket", "key", b"theirs")
    before = server.engine_seq()
    bodies = await asyncio.gather(*(server.get("/bucket/key") for _ in range(10)))
    assert set(bodies) == {b"theirs"}
    assert server.engine_seq() == before + 1
    assert [point for point, _ in server.upstream.calls].count("open") <= 10 + 1 + 10


async def test_change_between_two_pieces_closes_the_connection(server):
    await server.put("/bucket/key", bytes(3_000_000))
    reads = iter(range(9))

    def second() -> None:
        if next(reads) == 1:
            raise TokenMismatch("changed")

    server.upstream.when("read", second, times=9)
    answer = await server.send("GET", "/bucket/key")
    assert (answer.status, answer.whole) == (200, False)


async def test_put_replaces_what_others_wrote(server):
    await server.put("/bucket/key", b"ours")
    server.upstream.put("bucket", "key", b"theirs")
    await server.put("/bucket/key", b"ours again")
    assert server.upstream.objects["bucket/key"].data == b"ours again"
    assert await server.get("/bucket/key") == b"ours again"


async def test_put_goes_where_others_removed(server):
    await server.put("/bucket/key", b"ours")
    server.upstream.remove("bucket", "key")
    await server.put("/bucket/key", b"ours again")
    assert await server.get("/bucket/key") == b"ours again"


async def test_put_replaces_what_was_there_without_a_row(server):
    server.upstream.put("bucket", "key", b"theirs")
    await server.put("/bucket/key", b"ours")
    assert await server.get("/bucket/key") == b"ours"


async def test_precondition_of_a_write_is_decided_on_what_is_there(server):
    etag = (await server.put("/bucket/key", b"ours")).headers["etag"]
    theirs = server.upstream.put("bucket", "key", b"theirs")
    assert (await server.send("PUT", "/bucket/key", b"lost", if_match=etag)).status == 412
    assert server.upstream.objects["bucket/key"].data == b"theirs"
    await server.put("/bucket/key", b"won", if_match=f'"{theirs.etag}"')
    server.upstream.remove("bucket", "key")
    assert (await server.send("PUT", "/bucket/key", b"lost", if_match="*")).status == 404
    server.upstream.put("bucket", "new", b"theirs")
    assert (await server.send("PUT", "/bucket/new", b"lost", if_none_match="*")).status == 412
    assert server.upstream.objects["bucket/new"].data == b"theirs"
    assert server.upstream.traces() == ["bucket/new"]


async def test_change_during_a_write_is_found_by_upstreams_precondition(server):
    """Between Reserve and publish, and again, and again: at last the write gets through."""
    await server.put("/bucket/key", b"ours")
    numbers = iter(range(9))
    server.upstream.when(
        "publish", lambda: server.upstream.put("bucket", "key", b"theirs %d" % next(numbers)), times=3
    )
    await server.put("/bucket/key", b"ours again")
    assert next(numbers) == 3
    assert await server.get("/bucket/key") == b"ours again"


async def test_upstream_that_is_always_changed_is_503_at_last(server):
    await server.put("/bucket/key", b"ours")
    numbers = iter(range(99))
    server.upstream.when(
        "publish", lambda: server.upstream.put("bucket", "key", b"theirs %d" % next(numbers)), times=99
    )
    answer = await server.send("PUT", "/bucket/key", b"never")
    assert (answer.status, answer.code) == (503, "SlowDown")
    assert (await server.get("/bucket/key")).startswith(b"theirs")
    assert server.upstream.traces() == ["bucket/key"]


async def test_delete_removes_what_others_wrote(server):
    await server.put("/bucket/key", b"ours")
    server.upstream.put("bucket", "key", b"theirs")
    assert (await server.send("DELETE", "/bucket/key")).status == 204
    assert server.upstream.objects == {}
    assert await server.row("key") is None


async def test_conditional_delete_is_decided_on_what_is_there(server):
    etag = (await server.put("/bucket/key", b"ours")).headers["etag"]
    server.upstream.put("bucket", "key", b"theirs")
    assert (await server.send("DELETE", "/bucket/key", if_match=etag)).status == 412
    assert await server.get("/bucket/key") == b"theirs"


async def test_delete_of_what_others_removed_succeeds(server):
    await server.put("/bucket/key", b"ours")
    server.upstream.remove("bucket", "key")
    assert (await server.send("DELETE", "/bucket/key")).status == 204
    assert await server.row("key") is None


async def test_changed_source_is_copied_as_it_is_now(server):
    await server.put("/bucket/source", b"ours")
    theirs = server.upstream.put("bucket", "source", b"theirs")
    answer = await server.send("PUT", "/bucket/copy", x_amz_copy_source="/bucket/source")
    assert answer.text("ETag") == f"&quot;{theirs.etag}&quot;"
    assert await server.get("/bucket/copy") == b"theirs"
    server.upstream.remove("bucket", "source")
    gone = await server.send("PUT", "/bucket/copy", x_amz_copy_source="/bucket/source")
    assert gone.code == "NoSuchKey"
    assert await server.get("/bucket/copy") == b"theirs"


async def test_read_during_a_write_waits_for_its_commit(server, monkeypatch):
    """Published and not committed: the row is of the old object, which is not there any more."""
    await server.put("/bucket/key", b"old")
    commits, going_on = asyncio.Event(), asyncio.Event()
    apply: Callable[..., Any] = server.engine.apply

    async def slow(command: Any) -> Any:
        if getattr(command, "reservation", None) and hasattr(command, "content"):
            commits.set()
            await going_on.wait()
        return await apply(command)

    monkeypatch.setattr(server.engine, "apply", slow)
    put = asyncio.create_task(server.put("/bucket/key", b"new"))
    await commits.wait()
    get = asyncio.create_task(server.get("/bucket/key"))
    while not called(server, "open"):
        await asyncio.sleep(0)
    going_on.set()
    assert await get == b"new"
    await put
    assert not called(server, "stat")
