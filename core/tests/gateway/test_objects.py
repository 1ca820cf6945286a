"""Objects of native layout over HTTP: upstream holds what a client wrote, and what it says of it."""

import asyncio
import hashlib

import pytest
from bleepstore.storage import Unavailable, Unsupported

pytestmark = pytest.mark.anyio


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_object_is_upstream_under_bucket_and_key_and_comes_back(server, size):
    body = bytes(size)
    put = await server.put(
        "/bucket/a/key", body, content_type="text/plain", cache_control="no-store", x_amz_meta_who="me"
    )
    assert put.headers["etag"] == f'"{md5(body)}"'
    held = server.upstream.objects["bucket/a/key"]
    assert held.data == body
    assert held.headers == {"content-type": "text/plain", "cache-control": "no-store"}
    assert held.metadata == {"who": "me"}
    assert await server.get("/bucket/a/key") == body
    headed = await server.send("HEAD", "/bucket/a/key")
    assert (headed.status, headed.headers["content-length"]) == (200, str(size))
    assert headed.headers["x-amz-meta-who"] == "me"
    assert await server.intents() == []
    assert server.upstream.traces() == ["bucket/a/key"]


async def test_overwritten_object_is_the_new_one_and_leaves_nothing(server):
    await server.put("/bucket/key", b"old")
    await server.put("/bucket/key", b"new")
    assert await server.get("/bucket/key") == b"new"
    assert server.upstream.objects["bucket/key"].data == b"new"
    assert list(await server.engine.garbage(10)) == []


async def test_range_is_read_from_upstream(server):
    await server.put("/bucket/key", b"0123456789")
    assert await server.get("/bucket/key", range="bytes=2-4") == b"234"


async def test_deleted_object_is_gone_upstream(server):
    await server.put("/bucket/key", b"body")
    assert (await server.send("DELETE", "/bucket/key")).status == 204
    assert server.upstream.objects == {}
    assert (await server.send("GET", "/bucket/key")).code == "NoSuchKey"
    assert (await server.send("DELETE", "/bucket/key")).status == 204
    assert await server.intents() == []
    assert list(await server.engine.garbage(10)) == []


async def test_what_is_upstream_without_a_row_is_not_there_and_not_deleted(server):
    server.upstream.put("bucket", "key", b"not imported")
    assert (await server.send("GET", "/bucket/key")).code == "NoSuchKey"
    assert (await server.send("DELETE", "/bucket/key")).status == 204
    assert server.upstream.objects["bucket/key"].data == b"not imported"


async def test_body_with_a_wrong_digest_changes_nothing(server):
    await server.put("/bucket/key", b"old")
    answer = await server.send("PUT", "/bucket/key", b"new", content_md5="AAAAAAAAAAAAAAAAAAAAAA==")
    assert answer.code == "BadDigest"
    assert await server.get("/bucket/key") == b"old"
    assert server.upstream.traces() == ["bucket/key"]


async def test_refused_condition_changes_nothing(server):
    await server.put("/bucket/key", b"old")
    assert (await server.send("PUT", "/bucket/key", b"new", if_none_match="*")).status == 412
    assert (await server.send("PUT", "/bucket/key", b"new", if_match='"other"')).status == 412
    assert (await server.send("DELETE", "/bucket/key", if_match='"other"')).status == 412
    assert (await server.send("PUT", "/bucket/none", b"new", if_match='"other"')).status == 404
    assert await server.get("/bucket/key") == b"old"
    assert server.upstream.traces() == ["bucket/key"]
    assert await server.intents() == []


async def test_condition_that_holds_is_published(server):
    etag = (await server.put("/bucket/key", b"old", if_none_match="*")).headers["etag"]
    await server.put("/bucket/key", b"new", if_match=etag)
    assert await server.get("/bucket/key") == b"new"


@pytest.mark.parametrize("point", ["write", "seal", "publish"])
async def test_upstream_that_does_not_answer_is_503_and_costs_nothing(server, point):
    await server.put("/bucket/key", b"old")
    server.upstream.fail(point, Unavailable("upstream is down"))
    answer = await server.send("PUT", "/bucket/key", b"new")
    assert (answer.status, answer.code) == (503, "SlowDown")
    assert await server.get("/bucket/key") == b"old"
    assert server.upstream.traces() == ["bucket/key"]
    assert await server.intents() == []
    await server.put("/bucket/key", b"new")


@pytest.mark.parametrize("point", ["open", "delete"])
async def test_upstream_that_does_not_answer_reads_and_deletes_is_503(server, point):
    await server.put("/bucket/key", b"old")
    server.upstream.fail(point, Unavailable("upstream is down"))
    answer = await server.send("GET" if point == "open" else "DELETE", "/bucket/key")
    assert (answer.status, answer.code) == (503, "SlowDown")
    assert await server.get("/bucket/key") == b"old"


async def test_key_that_upstream_has_no_room_for_is_too_long(server):
    server.upstream.longest = 20
    await server.put("/bucket/source", b"body")
    path = f"/bucket/{'k' * 20}"
    for answer in (
        await server.send("PUT", path, b"body"),
        await server.send("PUT", path, x_amz_copy_source="/bucket/source"),
        await server.send("POST", f"{path}?uploads"),
    ):
        assert (answer.status, answer.code) == (400, "KeyTooLongError")
        assert (
            answer.text("Message") == "Your key is too long: it takes 27 bytes upstream, and has room for 20"
        )
    assert (await server.send("GET", path)).code == "NoSuchKey"
    assert server.upstream.traces() == ["bucket/source"]


async def test_what_upstream_cannot_hold_is_refused_with_the_reason(server):
    server.upstream.fail("seal", Unsupported("no such metadata"))
    answer = await server.send("PUT", "/bucket/key", b"body")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert "no such metadata" in answer.text("Message")


async def test_bucket_with_a_write_under_way_is_not_deleted(server):
    pause = server.upstream.pause("publish")
    put = asyncio.create_task(server.put("/bucket/key", b"body"))
    await pause.reached.wait()
    assert (await server.send("DELETE", "/bucket")).code == "BucketNotEmpty"
    pause.resume()
    await put
    assert await server.get("/bucket/key") == b"body"
