"""The server is killed at every step of a write: nothing acknowledged is lost, nothing half is there.

A new one over the same database and the same upstream resolves the intent: at the first request for the
key, or by upkeep.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from bleepstore.gateway import writes
from bleepstore.metadata import MetadataFull, MetadataUnavailable
from bleepstore.native import UpstreamObject
from bleepstore.storage import Unavailable
from bleepstore.testing.memory_native import NativeMemoryBackend
from bleepstore.testing.memory_upstream import Upstream
from bleepstore.upkeep.rounds import remove_garbage, resolve_intents

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["generations", "ETags"])
def upstream(request) -> Upstream:
    return Upstream(content_tokens=request.param)


@dataclass
class Point:
    """A place in a request at which it stands still for ever."""

    reached: asyncio.Event


def stop_at(server, point: str) -> Point:
    if ":" not in point:
        return Point(server.upstream.pause(point).reached)
    when, name = point.split(":")
    reached = asyncio.Event()
    apply: Callable[..., Any] = server.engine.apply

    async def stopping(command: Any) -> Any:
        if type(command).__name__ != name:
            return await apply(command)
        if when == "after":
            await apply(command)
        reached.set()
        return await asyncio.Event().wait()

    server.engine.apply = stopping
    return Point(reached)


async def cut_off(server, launch, point: str, method: str, path: str, body: bytes = b"", **headers: Any):
    """Kill the server when a request of it comes to a point; the next server."""
    at = stop_at(server, point)
    request = asyncio.create_task(server.send(method, path, body, **headers))
    async with asyncio.timeout(10):
        await at.reached.wait()
    await server.die()
    server.upstream.heal()
    with contextlib.suppress(Exception):
        await request
    return await launch()


BEFORE = ["write", "seal", "before:Reserve", "after:Reserve", "publish"]
AFTER = ["publish answered", "before:CommitObject", "after:CommitObject"]


@pytest.mark.parametrize("upkeep", [True, False], ids=["upkeep", "request"])
@pytest.mark.parametrize("old", [b"old", None], ids=["over an object", "over nothing"])
@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
async def test_put_that_is_cut_off_happened_or_did_not(server, launch, point, old, upkeep):
    if old is not None:
        await server.put("/bucket/key", old, x_amz_meta_who="old")
    server = await cut_off(
        server, launch, point, "PUT", "/bucket/key", b"new", x_amz_meta_who="new", x_amz_acl="public-read"
    )
    await settled(server, upkeep=upkeep)
    if point in AFTER:
        assert await server.get("/bucket/key") == b"new"
        row = await server.row("key")
        assert row.attributes.metadata == {"who": "new"}
        assert row.acl is not None
        assert row.attributes.checksum is not None
    elif old is None:
        assert (await server.send("GET", "/bucket/key")).code == "NoSuchKey"
    else:
        assert await server.get("/bucket/key") == old
        assert (await server.row("key")).attributes.metadata == {"who": "old"}
    await agree(server)
    await server.put("/bucket/key", b"later")
    assert await server.get("/bucket/key") == b"later"


async def settled(server, *, upkeep: bool) -> None:
    if upkeep:
        await resolve_intents(server.services)
    else:
        await server.send("PUT", "/bucket/key", b"never", if_match='"another"')
    assert await server.intents() == []


async def agree(server) -> None:
    """Rows and upstream say the same, and nothing else is upstream."""
    listing = await server.engine.list_objects(
        (await server.bucket()).id, prefix="", delimiter="", after="", limit=100
    )
    rows = [await server.row(entry.key) for entry in listing.entries]
    held = {name: found.token for name, found in server.upstream.objects.items()}
    assert {row.blob: row.token for row in rows} == held
    assert sorted(server.upstream.traces()) == sorted(held)


@pytest.mark.parametrize("upkeep", [True, False], ids=["upkeep", "request"])
@pytest.mark.parametrize(
    ("point", "gone"),
    [
        ("before:Reserve", False),
        ("after:Reserve", False),
        ("delete", False),
        ("delete answered", True),
        ("before:DeleteObject", True),
        ("after:DeleteObject", True),
    ],
)
async def test_delete_that_is_cut_off_happened_or_did_not(server, launch, point, gone, upkeep):
    await server.put("/bucket/key", b"old")
    server = await cut_off(server, launch, point, "DELETE", "/bucket/key")
    await settled(server, upkeep=upkeep)
    await agree(server)
    if gone:
        assert (await server.send("GET", "/bucket/key")).code == "NoSuchKey"
    else:
        assert await server.get("/bucket/key") == b"old"


@pytest.mark.parametrize("point", ["after:Reserve", "publish answered"])
async def test_same_bytes_over_themselves_are_what_upstream_says_of_them(server, launch, point):
    """Where tokens are made of bytes, only type and metadata tell whether it happened."""
    await server.put("/bucket/key", b"same", x_amz_meta_who="old")
    server = await cut_off(server, launch, point, "PUT", "/bucket/key", b"same", x_amz_meta_who="new")
    await resolve_intents(server.services)
    row = await server.row("key")
    assert row.attributes.metadata == server.upstream.objects["bucket/key"].metadata
    await agree(server)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing upstream tells what the bytes are known by, as where AWS encrypts them."""
    stat = NativeMemoryBackend.stat

    async def tell_nothing(storage: NativeMemoryBackend, name: str) -> UpstreamObject | None:
        found = await stat(storage, name)
        return found and replace(found, fingerprint="", etag=None)

    monkeypatch.setattr(NativeMemoryBackend, "stat", tell_nothing)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("old", [b"old", None], ids=["over an object", "over nothing"])
@pytest.mark.parametrize(("point", "done"), [("publish", False), ("publish answered", True)])
async def test_put_of_which_nothing_tells_the_bytes_is_known_by_all_else(server, launch, point, old, done):
    if old is not None:
        await server.put("/bucket/key", old, x_amz_meta_who="old")
    headers = {"x_amz_meta_who": "new", "x_amz_acl": "public-read"}
    server = await cut_off(server, launch, point, "PUT", "/bucket/key", b"new", **headers)
    await resolve_intents(server.services)
    await agree(server)
    row = await server.row("key")
    assert (None if row is None else row.attributes.metadata["who"]) == ("new" if done else old and "old")
    if done:
        assert row.acl is not None


@pytest.mark.usefixtures("silent")
async def test_what_others_wrote_is_not_taken_for_a_write_of_which_nothing_tells_the_bytes(server, launch):
    await server.put("/bucket/key", b"old")
    for theirs in (b"of another size", b"new"):
        server = await cut_off(
            server, launch, "publish", "PUT", "/bucket/key", b"new", x_amz_meta_who="we", x_amz_acl="private"
        )
        server.upstream.put("bucket", "key", theirs)
        await resolve_intents(server.services)
        assert await server.get("/bucket/key") == theirs
        assert (await server.row("key")).attributes.metadata == {}
        await agree(server)


@pytest.mark.usefixtures("silent")
async def test_completion_of_which_nothing_tells_the_bytes_ends_its_upload(server, launch):
    upload = (await server.send("POST", "/bucket/key?uploads", x_amz_meta_who="new")).text("UploadId")
    part = await server.put(f"/bucket/key?partNumber=2&uploadId={upload}", b"part")
    body = MULTIPART.format(part.headers["etag"]).encode()
    path = f"/bucket/key?uploadId={upload}"
    server = await cut_off(server, launch, "publish answered", "POST", path, body)
    await resolve_intents(server.services)
    headed = await server.send("HEAD", "/bucket/key")
    assert headed.headers["etag"].endswith('-1"')
    assert (await server.send("GET", f"/bucket/key?uploadId={upload}")).code == "NoSuchUpload"
    await remove_garbage(server.services)
    await agree(server)


async def test_what_others_did_after_a_write_was_cut_off_is_adopted(server, launch):
    await server.put("/bucket/key", b"old", x_amz_acl="public-read")
    acl = (await server.row("key")).acl
    server = await cut_off(server, launch, "publish answered", "PUT", "/bucket/key", b"new")
    server.upstream.put("bucket", "key", b"theirs")
    await resolve_intents(server.services)
    assert await server.get("/bucket/key") == b"theirs"
    assert (await server.row("key")).acl == acl
    await agree(server)


async def test_what_others_removed_after_a_write_was_cut_off_is_gone(server, launch):
    await server.put("/bucket/key", b"old")
    server = await cut_off(server, launch, "publish answered", "PUT", "/bucket/key", b"new")
    server.upstream.remove("bucket", "key")
    await resolve_intents(server.services)
    assert (await server.send("GET", "/bucket/key")).code == "NoSuchKey"
    assert await server.intents() == []


async def test_what_others_wrote_where_nothing_was_published_is_not_imported(server, launch):
    server = await cut_off(server, launch, "publish", "PUT", "/bucket/key", b"new")
    server.upstream.put("bucket", "key", b"theirs")
    await resolve_intents(server.services)
    assert (await server.send("GET", "/bucket/key")).code == "NoSuchKey"
    assert await server.intents() == []
    assert server.upstream.objects["bucket/key"].data == b"theirs"


async def test_intents_that_cannot_be_resolved_yet_are_kept_and_in_nobodys_way(server, launch, caplog):
    server = await cut_off(server, launch, "publish answered", "PUT", "/bucket/key", b"new")
    server.upstream.fail("stat", Unavailable("upstream is down"), times=3)
    assert await resolve_intents(server.services) == 0
    assert "upstream is down" in caplog.text
    assert (await server.send("PUT", "/bucket/key", b"newer")).status == 503
    await server.put("/bucket/another", b"body")
    server.upstream.heal()
    assert await resolve_intents(server.services) == 1
    assert await server.get("/bucket/key") == b"new"


@pytest.mark.parametrize("published", [True, False])
async def test_outcome_that_upstream_did_not_tell_is_found_out(server, published):
    """The write is answered as it came out, if that can be known at once."""
    await server.put("/bucket/key", b"old")
    server.upstream.fail("publish answered" if published else "publish", Unavailable("no answer"))
    answer = await server.send("PUT", "/bucket/key", b"new")
    assert answer.status == (200 if published else 503)
    assert await server.get("/bucket/key") == (b"new" if published else b"old")
    await agree(server)


@pytest.mark.parametrize("removed", [True, False])
async def test_outcome_of_a_delete_that_upstream_did_not_tell_is_found_out(server, removed):
    await server.put("/bucket/key", b"old")
    server.upstream.fail("delete answered" if removed else "delete", Unavailable("no answer"))
    answer = await server.send("DELETE", "/bucket/key")
    assert answer.status == (204 if removed else 503)
    await agree(server)


async def test_outcome_that_nobody_can_tell_now_is_found_out_later(server, monkeypatch):
    monkeypatch.setattr(writes, "FIRST_LOOK", 0.001)
    await server.put("/bucket/key", b"old")
    server.upstream.fail("publish answered", Unavailable("no answer"))
    server.upstream.fail("stat", Unavailable("upstream is down"), times=3)
    assert (await server.send("PUT", "/bucket/key", b"new")).status == 503
    assert len(await server.intents()) == 1
    async with asyncio.timeout(10):
        while await server.intents():
            await asyncio.sleep(0.001)
    assert await server.get("/bucket/key") == b"new"
    await agree(server)


@pytest.mark.parametrize("refusal", [MetadataFull("full"), MetadataUnavailable("nobody knows")])
async def test_published_write_that_cannot_be_recorded_now_is_later(server, monkeypatch, refusal):
    """The old object is not there any more: taking the new one back would leave nothing."""
    await server.put("/bucket/key", b"old")
    apply, full = server.engine.apply, True

    async def refusing(command: Any) -> Any:
        if full and type(command).__name__ == "CommitObject":
            raise refusal
        return await apply(command)

    monkeypatch.setattr(server.engine, "apply", refusing)
    assert (await server.send("PUT", "/bucket/key", b"new")).status in (500, 507)
    assert server.upstream.objects["bucket/key"].data == b"new"
    assert (await server.send("GET", "/bucket/key")).status in (500, 507)
    full = False
    assert await server.get("/bucket/key") == b"new"
    await agree(server)


async def test_copy_that_is_cut_off_happened_or_did_not(server, launch):
    await server.put("/bucket/source", b"bytes")
    await server.put("/bucket/key", b"old")
    for point, body in (("publish", b"old"), ("publish answered", b"bytes")):
        server = await cut_off(
            server, launch, point, "PUT", "/bucket/key", x_amz_copy_source="/bucket/source"
        )
        await resolve_intents(server.services)
        assert await server.get("/bucket/key") == body
        await agree(server)


PART = "<Part><PartNumber>2</PartNumber><ETag>{}</ETag></Part>"
MULTIPART = f"<CompleteMultipartUpload>{PART}</CompleteMultipartUpload>"


@pytest.mark.parametrize(
    ("point", "done"),
    [
        ("seal", False),
        ("before:Reserve", False),
        ("after:Reserve", False),
        ("publish", False),
        ("publish answered", True),
        ("before:CompleteUpload", True),
        ("after:CompleteUpload", True),
    ],
)
async def test_completion_that_is_cut_off_can_be_asked_for_again(server, launch, point, done):
    await server.put("/bucket/key", b"old")
    upload = (await server.send("POST", "/bucket/key?uploads", x_amz_meta_who="new")).text("UploadId")
    part = await server.put(f"/bucket/key?partNumber=2&uploadId={upload}", b"part")
    body = MULTIPART.format(part.headers["etag"]).encode()
    path = f"/bucket/key?uploadId={upload}"
    server = await cut_off(server, launch, point, "POST", path, body)
    await resolve_intents(server.services)
    assert await server.get("/bucket/key") == (b"part" if done else b"old")
    again = await server.send("POST", path, body)
    assert again.status == 200
    assert again.text("ETag").endswith("-1&quot;")
    headed = await server.send("HEAD", "/bucket/key?partNumber=1")
    assert (headed.status, headed.headers["x-amz-mp-parts-count"]) == (206, "1")
    assert headed.headers["x-amz-meta-who"] == "new"
    assert await server.get("/bucket/key") == b"part"
    await remove_garbage(server.services)
    await agree(server)
