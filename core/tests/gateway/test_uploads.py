"""Multipart uploads and copies of native layout, over HTTP."""

import asyncio
import hashlib

import pytest
from bleepstore.commands import AbortUpload
from bleepstore.storage import BlobMissing, Unavailable
from bleepstore.testing.memory_upstream import Pause, Upstream
from bleepstore.upkeep.rounds import remove_garbage

pytestmark = pytest.mark.anyio
MIB = 1 << 20
FIRST, LAST = b"1" * (5 * MIB), b"2" * 10


@pytest.fixture(
    params=[
        {},
        {"content_tokens": True},
        {"parts_are_blobs": True},
        {"copies": False},
        {"copies": False, "parts_are_blobs": True},
    ],
    ids=["generations", "ETags", "parts are blobs", "no copies", "no copies, parts are blobs"],
)
def upstream(request) -> Upstream:
    return Upstream(**request.param)


async def reached(pause: Pause) -> None:
    async with asyncio.timeout(10):
        await pause.reached.wait()


async def begin(server, key: str = "key", **headers) -> str:
    answer = await server.send("POST", f"/bucket/{key}?uploads", **headers)
    assert answer.status == 200, answer.body
    return answer.text("UploadId")


async def put_part(server, upload: str, number: int, body: bytes) -> str:
    return (await server.put(f"/bucket/key?partNumber={number}&uploadId={upload}", body)).headers["etag"]


async def complete(server, upload: str, *parts: tuple[int, str], **headers):
    listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    return await server.send("POST", f"/bucket/key?uploadId={upload}", body, **headers)


def etag_of(*parts: bytes) -> str:
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"


async def test_upload_becomes_one_object_that_remembers_its_parts(server):
    upload = await begin(server, content_type="text/x", x_amz_meta_who="me", x_amz_acl="public-read")
    await put_part(server, upload, 1, b"replaced")
    etags = [(1, await put_part(server, upload, 1, FIRST)), (3, await put_part(server, upload, 3, LAST))]
    unused = await put_part(server, upload, 4, b"not named")
    assert unused
    done = await complete(server, upload, *etags)
    assert done.text("ETag") == f"&quot;{etag_of(FIRST, LAST)}&quot;"
    held = server.upstream.objects["bucket/key"]
    assert held.data == FIRST + LAST
    assert (held.headers["content-type"], held.metadata) == ("text/x", {"who": "me"})
    answer = await server.send("GET", "/bucket/key")
    assert answer.body == FIRST + LAST
    assert answer.headers["etag"] == f'"{etag_of(FIRST, LAST)}"'
    for number, body in ((1, FIRST), (2, LAST)):
        part = await server.send("GET", f"/bucket/key?partNumber={number}")
        assert (part.status, part.body) == (206, body)
        assert part.headers["x-amz-mp-parts-count"] == "2"
    attributes = await server.send("GET", "/bucket/key?attributes", x_amz_object_attributes="ObjectParts")
    assert attributes.text("PartsCount") == "2"
    assert (await server.row("key")).acl is not None
    again = await complete(server, upload, *etags)
    assert (again.status, again.body) == (200, done.body)
    await remove_garbage(server.services)
    assert server.upstream.traces() == ["bucket/key"]
    assert list(await server.engine.garbage(10)) == []
    assert (await server.send("DELETE", "/bucket/key")).status == 204
    await remove_garbage(server.services)
    assert server.upstream.traces() == []


async def test_empty_part_is_an_empty_object(server):
    upload = await begin(server)
    done = await complete(server, upload, (1, await put_part(server, upload, 1, b"")))
    assert done.status == 200
    assert await server.get("/bucket/key") == b""
    assert server.upstream.objects["bucket/key"].data == b""


async def test_condition_of_a_completion_is_decided_before_upstream_is_touched(server):
    await server.put("/bucket/key", b"old")
    upload = await begin(server)
    part = (1, await put_part(server, upload, 1, LAST))
    assert (await complete(server, upload, part, if_none_match="*")).status == 412
    assert await server.get("/bucket/key") == b"old"
    assert (await complete(server, upload, part)).status == 200
    assert await server.get("/bucket/key") == LAST


async def test_completion_is_decided_again_where_a_part_came_meanwhile(server):
    upload = await begin(server)
    etag = await put_part(server, upload, 1, LAST)
    pause = server.upstream.pause("seal")
    done = asyncio.create_task(complete(server, upload, (1, etag)))
    await reached(pause)
    await put_part(server, upload, 2, b"another")
    pause.resume()
    assert (await done).status == 200
    assert await server.get("/bucket/key") == LAST


async def test_upload_that_is_completed_twice_at_once_is_one_object(server):
    upload = await begin(server)
    part = (1, await put_part(server, upload, 1, LAST))
    answers = await asyncio.gather(*(complete(server, upload, part) for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert await server.get("/bucket/key") == LAST


async def test_abort_waits_for_a_completion_that_is_being_published(server):
    upload = await begin(server)
    part = (1, await put_part(server, upload, 1, LAST))
    pause = server.upstream.pause("publish")
    done = asyncio.create_task(complete(server, upload, part))
    await reached(pause)
    abort = asyncio.create_task(server.send("DELETE", f"/bucket/key?uploadId={upload}"))
    for _ in range(200):
        await asyncio.sleep(0)
    assert not abort.done()
    pause.resume()
    assert (await done).status == 200
    await abort
    assert await server.get("/bucket/key") == LAST


async def test_aborted_upload_leaves_nothing_upstream(server):
    upload = await begin(server)
    await put_part(server, upload, 1, LAST)
    assert (await server.send("DELETE", f"/bucket/key?uploadId={upload}")).status == 204
    assert (await server.send("PUT", f"/bucket/key?partNumber=1&uploadId={upload}", b"late")).code == (
        "NoSuchUpload"
    )
    await remove_garbage(server.services)
    assert server.upstream.traces() == []
    assert list(await server.engine.garbage(10)) == []


async def test_upload_that_cannot_be_aborted_upstream_now_is_later(server):
    upload = await begin(server)
    await put_part(server, upload, 1, LAST)
    server.upstream.fail("abort_upload", Unavailable("down"))
    assert (await server.send("DELETE", f"/bucket/key?uploadId={upload}")).status == 204
    server.upstream.fail("abort_upload", Unavailable("down"))
    await remove_garbage(server.services)
    assert upload in [garbage.blob for garbage in await server.engine.garbage(10)]
    await remove_garbage(server.services)
    assert server.upstream.traces() == []
    assert list(await server.engine.garbage(10)) == []


async def test_uploads_of_a_deleted_bucket_are_aborted_upstream(server):
    upload = await begin(server)
    await put_part(server, upload, 1, LAST)
    assert (await server.send("DELETE", "/bucket")).status == 204
    await remove_garbage(server.services)
    assert server.upstream.traces() == []


async def test_part_of_an_upload_that_is_aborted_meanwhile_leaves_nothing(server):
    upload = await begin(server)
    pause = server.upstream.pause("seal")
    part = asyncio.create_task(server.send("PUT", f"/bucket/key?partNumber=1&uploadId={upload}", LAST))
    await reached(pause)
    await server.send("DELETE", f"/bucket/key?uploadId={upload}")
    pause.resume()
    assert (await part).code == "NoSuchUpload"
    await remove_garbage(server.services)
    assert server.upstream.traces() == []


async def test_upload_into_a_bucket_that_is_gone_is_not_left_upstream(server):
    pause = server.upstream.pause("begin_upload answered")
    begun = asyncio.create_task(server.send("POST", "/bucket/key?uploads"))
    await reached(pause)
    assert (await server.send("DELETE", "/bucket")).status == 204
    pause.resume()
    assert (await begun).code == "NoSuchBucket"
    assert server.upstream.traces() == []


async def test_parts_of_a_number_at_once_are_one_that_can_be_completed(server):
    upload = await begin(server)
    bodies = [b"%d" % n for n in range(10)]
    await asyncio.gather(*(put_part(server, upload, 1, body) for body in bodies))
    listed = await server.send("GET", f"/bucket/key?uploadId={upload}")
    etag = listed.text("ETag").replace("&quot;", "")
    assert (await complete(server, upload, (1, etag))).status == 200
    assert hashlib.md5(await server.get("/bucket/key")).hexdigest() == etag
    await remove_garbage(server.services)
    assert server.upstream.traces() == ["bucket/key"]


class OneOfANumber(dict[str, bytes]):
    """Parts as AWS keeps them: the last that was sent of each number."""

    def __setitem__(self, name: str, data: bytes) -> None:
        for other in [other for other in self if other.rpartition("-")[0] == name.rpartition("-")[0]]:
            del self[other]
        super().__setitem__(name, data)


async def test_part_that_upstream_keeps_is_the_one_of_the_row(server, monkeypatch):
    upload = await begin(server)
    server.upstream.parts = OneOfANumber()
    for found in server.upstream.uploads.values():
        found.parts = OneOfANumber()
    apply, commits = server.engine.apply, iter(range(10))

    async def in_another_order(command):
        if type(command).__name__ == "CommitPart":
            for _ in range(50 * (10 - next(commits))):
                await asyncio.sleep(0)
        return await apply(command)

    monkeypatch.setattr(server.engine, "apply", in_another_order)
    await asyncio.gather(*(put_part(server, upload, 1, b"%d" % n) for n in range(10)))
    listed = await server.send("GET", f"/bucket/key?uploadId={upload}")
    etag = listed.text("ETag").replace("&quot;", "")
    assert (await complete(server, upload, (1, etag))).status == 200
    assert hashlib.md5(await server.get("/bucket/key")).hexdigest() == etag


async def test_part_with_a_wrong_digest_changes_nothing(server):
    upload = await begin(server)
    etag = await put_part(server, upload, 1, LAST)
    path = f"/bucket/key?partNumber=1&uploadId={upload}"
    assert (await server.send("PUT", path, b"x", content_md5="AAAAAAAAAAAAAAAAAAAAAA==")).code == "BadDigest"
    assert (await complete(server, upload, (1, etag))).status == 200
    assert await server.get("/bucket/key") == LAST


async def test_part_that_upstream_has_no_more_is_an_invalid_part(server, upstream):
    upload = await begin(server)
    etag = await put_part(server, upload, 1, LAST)
    upstream.parts.clear()
    for found in upstream.uploads.values():
        found.parts.clear()
    assert (await complete(server, upload, (1, etag))).code == "InvalidPart"
    assert await server.intents() == []


async def test_part_that_another_worker_has_replaced_upstream_is_invalid_until_it_is_sent_again(
    server, launch, upstream
):
    """Both wrote number 1: upstream keeps the last that came, and the row is the last that committed."""
    other, upload = await launch(), await begin(server)
    kept = OneOfANumber()
    upstream.parts = kept
    for found in upstream.uploads.values():
        found.parts = kept
    pause = upstream.pause("publish answered")
    first = asyncio.create_task(put_part(server, upload, 1, b"first"))
    await reached(pause)
    assert await put_part(other, upload, 1, b"second")
    pause.resume()
    etag = await first
    refused = await complete(server, upload, (1, etag))
    assert (refused.status, refused.code) == (400, "InvalidPart")
    assert await server.intents() == []
    again = await put_part(server, upload, 1, b"first")
    assert (await complete(server, upload, (1, again))).status == 200
    assert await server.get("/bucket/key") == b"first"


@pytest.mark.parametrize("point", ["seal", "publish"])
async def test_part_that_is_gone_when_the_upload_is_completed_is_invalid_and_the_object_as_it_was(
    server, point
):
    await server.put("/bucket/key", b"old")
    upload = await begin(server)
    etag = await put_part(server, upload, 1, LAST)
    server.upstream.fail(point, BlobMissing("the part is not there"))
    refused = await complete(server, upload, (1, etag))
    assert (refused.status, refused.code) == (400, "InvalidPart")
    assert await server.get("/bucket/key") == b"old"
    assert await server.intents() == []


async def test_expired_upload_is_aborted_upstream(server):
    """As upkeep does it: by the command alone, and what is upstream is garbage."""
    upload = await begin(server)
    await put_part(server, upload, 1, LAST)
    bucket = await server.bucket()
    await server.engine.apply(AbortUpload(id="a", at=1, bucket=bucket.id, key="key", upload=upload))
    await remove_garbage(server.services)
    assert server.upstream.traces() == []


# --- copies -------------------------------------------------------------------------------------------


async def test_copy_is_an_object_of_its_own(server):
    put = await server.put("/bucket/source", FIRST, content_type="text/x", x_amz_meta_who="me")
    copied = await server.send("PUT", "/bucket/copy", x_amz_copy_source="/bucket/source")
    assert copied.text("ETag") == put.headers["etag"].replace('"', "&quot;")
    held = server.upstream.objects["bucket/copy"]
    assert (held.data, held.headers["content-type"], held.metadata) == (FIRST, "text/x", {"who": "me"})
    await server.send("DELETE", "/bucket/source")
    await remove_garbage(server.services)
    assert await server.get("/bucket/copy") == FIRST
    assert server.upstream.traces() == ["bucket/copy"]


@pytest.mark.parametrize("body", [b"", b"small"])
async def test_copy_onto_itself_replaces_the_metadata(server, body):
    await server.put("/bucket/key", body, x_amz_meta_who="old")
    copied = await server.send(
        "PUT",
        "/bucket/key",
        x_amz_copy_source="/bucket/key",
        x_amz_metadata_directive="REPLACE",
        x_amz_meta_who="new",
    )
    assert copied.status == 200
    assert server.upstream.objects["bucket/key"].metadata == {"who": "new"}
    answer = await server.send("GET", "/bucket/key")
    assert (answer.body, answer.headers["x-amz-meta-who"]) == (body, "new")


async def test_copy_of_a_multipart_object_has_the_md5_of_its_bytes(server):
    upload = await begin(server)
    await complete(server, upload, (1, await put_part(server, upload, 1, LAST)))
    await server.send("PUT", "/bucket/copy", x_amz_copy_source="/bucket/key")
    answer = await server.send("GET", "/bucket/copy")
    assert (answer.body, answer.headers["etag"]) == (LAST, f'"{hashlib.md5(LAST).hexdigest()}"')


async def test_refused_copy_changes_nothing(server):
    await server.put("/bucket/source", b"source")
    await server.put("/bucket/copy", b"old")
    answer = await server.send("PUT", "/bucket/copy", x_amz_copy_source="/bucket/source", if_none_match="*")
    assert answer.status == 412
    assert await server.get("/bucket/copy") == b"old"
    assert sorted(server.upstream.traces()) == ["bucket/copy", "bucket/source"]


async def test_source_that_is_replaced_during_the_copy_is_copied_anew(server):
    await server.put("/bucket/source", b"old")
    pause = server.upstream.pause("seal")
    copy = asyncio.create_task(server.send("PUT", "/bucket/copy", x_amz_copy_source="/bucket/source"))
    await reached(pause)
    await server.put("/bucket/source", b"new")
    pause.resume()
    assert (await copy).status == 200
    assert await server.get("/bucket/copy") in (b"old", b"new")
    row = await server.row("copy")
    assert row.etag == hashlib.md5(server.upstream.objects["bucket/copy"].data).hexdigest()


async def test_part_is_copied_from_a_span(server):
    await server.put("/bucket/source", b"0123456789")
    upload = await begin(server)
    path = f"/bucket/key?partNumber=1&uploadId={upload}"
    source = {"x_amz_copy_source": "/bucket/source"}
    copied = await server.send("PUT", path, x_amz_copy_source_range="bytes=2-5", **source)
    etag = copied.text("ETag").replace("&quot;", "")
    assert etag == hashlib.md5(b"2345").hexdigest()
    server.upstream.put("bucket", "source", b"changed")
    second = await server.send("PUT", path.replace("=1", "=2"), **source)
    etags = [(1, etag), (2, second.text("ETag").replace("&quot;", ""))]
    assert (await complete(server, upload, etags[0])).status == 200
    assert await server.get("/bucket/key") == b"2345"
    await remove_garbage(server.services)
    assert sorted(server.upstream.traces()) == ["bucket/key", "bucket/source"]
