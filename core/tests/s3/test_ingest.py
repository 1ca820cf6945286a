"""Taking bytes: what fails leaves nothing behind and the old object as it was.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html ("Amazon S3 never adds
partial objects; if you receive a success response, Amazon S3 added the entire object to the bucket").
"""

import asyncio
import base64
import hashlib
import re
from typing import Any

import pytest
from bleepstore.metadata import MetadataBusy, MetadataFull, MetadataUnavailable, Reason, Refused
from bleepstore.storage import BackendFailed, OutOfSpace, Unavailable

pytestmark = pytest.mark.anyio
OLD = b"the old object" * 10_000
NEW = b"the new object" * 200_000
"""Nearly three pieces of a body."""


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


@pytest.fixture
async def old(house) -> set[str]:
    """The object that was there before; the names of all blobs."""
    await house.put("/bucket/key", OLD)
    return set(house.storage.memory.blobs)


async def unchanged(house, old: set[str]) -> None:
    assert set(house.storage.memory.blobs) == old
    assert house.storage.writing == 0
    assert await house.garbage() == []
    assert (await house.send("GET", "/bucket/key")).body == OLD


async def test_successful_put_replaces_the_object_and_drops_the_old_blob(house, old):
    answer = await house.send("PUT", "/bucket/key", NEW, content_md5=md5(NEW))
    assert (answer.status, answer.headers["etag"]) == (200, f'"{hashlib.md5(NEW).hexdigest()}"')
    assert (await house.send("GET", "/bucket/key")).body == NEW
    assert set(await house.garbage()) == old
    assert house.storage.writing == 0


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content_md5": md5(b"something else")}, "BadDigest"),
        (
            {"x_amz_content_sha256": hashlib.sha256(b"something else").hexdigest()},
            "XAmzContentSHA256Mismatch",
        ),
        ({"x_amz_checksum_crc32": "AAAAAA=="}, "BadDigest"),
        ({"if_none_match": "*"}, "PreconditionFailed"),
        ({"if_match": '"another"'}, "PreconditionFailed"),
    ],
)
async def test_put_that_does_not_hold_leaves_the_old_object(house, old, headers, code):
    """S3-CHECKLIST 44: digests and conditions are decided before anything changes."""
    answer = await house.send("PUT", "/bucket/key", NEW, **headers)
    assert answer.status in (400, 412)
    assert f"<Code>{code}</Code>".encode() in answer.body
    await unchanged(house, old)


@pytest.mark.parametrize(
    ("fault", "status"),
    [(OutOfSpace("full"), 507), (BackendFailed("broken"), 500), (Unavailable("not now"), 503)],
)
@pytest.mark.parametrize("where", ["write_fault", "publish_fault"])
async def test_put_that_the_storage_refuses_leaves_the_old_object(house, old, where, fault, status):
    """S3-CHECKLIST 44: also where the disk is full."""
    setattr(house.storage, where, fault)
    assert (await house.send("PUT", "/bucket/key", NEW)).status == status
    setattr(house.storage, where, None)
    await unchanged(house, old)
    await house.put("/bucket/key", NEW)


@pytest.mark.parametrize("sent", [0, 1, 100_000, len(NEW) - 1])
async def test_put_whose_client_goes_away_leaves_the_old_object(house, old, sent):
    """S3-CHECKLIST 44: wherever in its body."""
    _, writer = await house.connect()
    writer.write(b"PUT /bucket/key HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(NEW))
    writer.write(NEW[:sent])
    await writer.drain()
    async with asyncio.timeout(10):
        while not house.storage.writing:
            await asyncio.sleep(0)
    writer.close()
    async with asyncio.timeout(10):
        while house.storage.writing:
            await asyncio.sleep(0)
    await unchanged(house, old)


async def test_put_that_is_cancelled_leaves_the_old_object(house, old):
    """S3-CHECKLIST 44: as when the server ends without waiting for its requests."""
    pieces = iter([NEW[:1_500_000]])
    waiting = asyncio.Event()

    async def receive() -> dict[str, Any]:
        for piece in pieces:
            return {"type": "http.request", "body": piece, "more_body": True}
        waiting.set()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "scheme": "http",
        "raw_path": b"/bucket/key",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % len(NEW))],
    }
    putting = asyncio.create_task(house.entry(scope, receive, send))
    async with asyncio.timeout(10):
        await waiting.wait()
    assert house.storage.writing == 1
    putting.cancel()
    await asyncio.wait((putting,))
    assert putting.cancelled()
    await unchanged(house, old)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(Refused(Reason.NO_SUCH_BUCKET), 404), (MetadataBusy(), 503), (MetadataFull(), 507)],
)
async def test_command_that_changed_nothing_takes_the_blob_with_it(house, old, monkeypatch, refusal, status):
    async def refuse(command: Any) -> None:
        raise refusal

    monkeypatch.setattr(house.engine, "apply", refuse)
    assert (await house.send("PUT", "/bucket/key", NEW)).status == status
    await unchanged(house, old)


async def test_command_of_unknown_outcome_keeps_the_blob(house, old, monkeypatch):
    """It may have been applied: a row without its bytes would be a lost object."""

    async def unknown(command: Any) -> None:
        await apply(command)
        raise MetadataUnavailable

    apply = house.engine.apply
    monkeypatch.setattr(house.engine, "apply", unknown)
    answer = await house.send("PUT", "/bucket/key", NEW)
    assert answer.status in (500, 503)
    assert (await house.send("GET", "/bucket/key")).body == NEW
    assert house.storage.writing == 1  # still tracked: somebody who can know decides


async def test_put_that_is_cancelled_while_it_commits_is_committed(house, old, monkeypatch):
    """A client that hangs up after its command was queued changes nothing."""
    queued, apply = asyncio.Event(), house.engine.apply

    async def slow(command: Any) -> None:
        await apply(command)
        queued.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(house.engine, "apply", slow)
    pieces = iter([NEW])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(pieces), "more_body": False}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "scheme": "http",
        "raw_path": b"/bucket/key",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % len(NEW))],
    }
    putting = asyncio.create_task(house.entry(scope, receive, send))
    async with asyncio.timeout(10):
        await queued.wait()
    putting.cancel()
    await asyncio.wait((putting,))
    monkeypatch.undo()
    assert (await house.send("GET", "/bucket/key")).body == NEW


async def test_empty_object_has_no_blob(house):
    await house.put("/bucket/empty", b"")
    assert house.storage.memory.blobs == {}
    answer = await house.send("GET", "/bucket/empty")
    assert (answer.status, answer.body) == (200, b"")


async def test_failed_part_leaves_the_part_that_was_there(house):
    """S3-CHECKLIST 44: and an aborted upload leaves nothing."""
    begun = await house.send("POST", "/bucket/key?uploads")
    (upload,) = re.findall(b"<UploadId>(.*)</UploadId>", begun.body)
    path = f"/bucket/key?partNumber=1&uploadId={upload.decode()}"
    await house.put(path, OLD)
    before = set(house.storage.memory.blobs)
    assert (await house.send("PUT", path, NEW, content_md5=md5(OLD))).status == 400
    assert set(house.storage.memory.blobs) == before
    assert (await house.send("GET", "/bucket/key")).status == 404
    listed = await house.send("GET", f"/bucket/key?uploadId={upload.decode()}")
    assert f"<Size>{len(OLD)}</Size>".encode() in listed.body
    assert (await house.send("DELETE", f"/bucket/key?uploadId={upload.decode()}")).status == 204
    assert set(await house.garbage()) == before


class TestSmallObjects:
    """What lives in the metadata database, bytes and all."""

    @pytest.fixture
    def inline_limit(self) -> int:
        return 32 * 1024

    @pytest.mark.parametrize("size", [1, 32 * 1024])
    async def test_they_have_no_blob(self, house, size):
        await house.put("/bucket/small", b"x" * size)
        assert house.storage.memory.blobs == {}
        assert (await house.send("GET", "/bucket/small")).body == b"x" * size

    async def test_larger_ones_have(self, house):
        await house.put("/bucket/large", b"x" * (32 * 1024 + 1))
        assert len(house.storage.memory.blobs) == 1

    async def test_failed_put_leaves_the_old_one(self, house):
        """S3-CHECKLIST 44: as for those with a blob."""
        await house.put("/bucket/small", b"old")
        answer = await house.send("PUT", "/bucket/small", b"new", content_md5=md5(b"other"))
        assert b"<Code>BadDigest</Code>" in answer.body
        assert (await house.send("GET", "/bucket/small")).body == b"old"

    async def test_storage_that_wants_all_objects_gets_them(self, house, monkeypatch):
        wants = type(house.storage.capabilities)(layout=house.storage.capabilities.layout, inline=False)
        monkeypatch.setattr(house.storage, "capabilities", wants)
        await house.put("/bucket/small", b"x")
        assert len(house.storage.memory.blobs) == 1
        await house.put("/bucket/empty", b"")
        assert len(house.storage.memory.blobs) == 1
        assert house.storage.writing == 0
