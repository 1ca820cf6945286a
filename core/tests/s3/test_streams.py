"""Giving bytes: the right ones or none, and those of the object that the reply began with."""

import asyncio
import itertools
import random
from typing import Any

import pytest
from bleepstore import commands as c
from bleepstore.http.ranges import Span
from bleepstore.metadata import Attributes, ObjectRecord
from bleepstore.s3.streams import AT_ONCE, SegmentStream, object_body
from bleepstore.storage import BlobMissing
from bleepstore.upkeep.rounds import remove_garbage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024
SIZES = [400_000, 0, 1, 70_000, 2 * MIB + 5, 300]
"""Parts of :func:`parts_of`; those of up to 100 KB are inline."""


def bytes_of(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


async def found_in(house, key: str) -> ObjectRecord:
    _, found = await house.engine.object("bucket", key, data=True)
    assert found is not None
    return found


async def whole_of(house, body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    data = b"".join([piece async for piece in body])
    await body.aclose()
    return data


async def put_parts(house, key: str, sizes: list[int], *, inline: int = 100_000) -> bytes:
    """An object of parts of any size, which a client could not make: small ones are inline."""
    bucket = await house.engine.bucket("bucket")
    stamp = {"at": 1, "bucket": bucket.id, "key": key}
    new_id = house.services.new_id
    upload, owner = new_id(), bucket.owner
    await house.engine.apply(
        c.CreateUpload(
            id=new_id(), upload=upload, owner=owner, initiator=owner, attributes=Attributes(), **stamp
        )
    )
    pieces = [bytes_of(size, seed) for seed, size in enumerate(sizes)]
    for number, piece in enumerate(pieces, 1):
        blob = new_id()
        content = c.Content(size=len(piece), blob=blob, data=piece if len(piece) <= inline else None)
        if not piece:
            content = c.Content(size=0)
        elif len(piece) > inline:
            house.storage.memory.blobs[blob] = piece
        await house.engine.apply(
            c.CommitPart(id=new_id(), upload=upload, number=number, content=content, etag="e", **stamp)
        )
    _, record = await house.engine.upload("bucket", key, upload)
    await house.engine.apply(
        c.CompleteUpload(
            id=new_id(),
            upload=upload,
            generation=record.generation,
            parts=((1, len(sizes)),),
            size=sum(sizes),
            etag="e-6",
            checksum=None,
            **stamp,
        )
    )
    return b"".join(pieces)


# --- the right bytes ----------------------------------------------------------------------------

edges = st.builds(int.__add__, st.sampled_from(list(itertools.accumulate(SIZES))), st.integers(-2, 2))
places = st.one_of(edges, st.integers(0, sum(SIZES))).map(lambda at: max(0, min(at, sum(SIZES))))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=places, end=places)
async def test_any_span_of_many_segments_is_a_slice(house, start: int, end: int):
    start, end = min(start, end), max(start, end)
    if await house.engine.object("bucket", "parts") == (await house.engine.bucket("bucket"), None):
        await put_parts(house, "parts", SIZES)
    data = b"".join(bytes_of(size, seed) for seed, size in enumerate(SIZES))
    body = await object_body(house.exchange(), await found_in(house, "parts"), Span(start, end - start))
    assert await whole_of(house, body) == data[start:end]
    assert house.storage.reading == 0


@pytest.mark.parametrize("size", [1, AT_ONCE, AT_ONCE + 1, MIB, 3 * MIB + 7])
async def test_objects_of_one_blob_come_whole_and_in_ranges(house, size):
    data = bytes_of(size)
    await house.put("/bucket/key", data)
    assert (await house.send("GET", "/bucket/key")).body == data
    answer = await house.send("GET", "/bucket/key", range=f"bytes={size // 2}-")
    assert (answer.status, answer.body) == (206, data[size // 2 :])
    assert house.storage.reading == 0


async def test_head_opens_nothing(house):
    await house.put("/bucket/key", bytes_of(MIB))
    house.storage.memory.blobs.clear()
    answer = await house.send("HEAD", "/bucket/key")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(MIB), b"")


# --- never wrong bytes --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, AT_ONCE, 3 * MIB], ids=["small", "read at once", "large"])
async def test_damage_in_the_first_piece_is_an_error_before_the_status_line(house, size, caplog):
    await house.put("/bucket/key", bytes_of(size))
    house.storage.damage = size // 5
    answer = await house.send("GET", "/bucket/key")
    assert answer.status == 500
    assert b"<Code>InternalError</Code>" in answer.body
    assert answer.whole
    assert house.storage.reading == 0


@pytest.mark.parametrize("place", [MIB, 2 * MIB + 5, 3 * MIB - 1], ids=["second", "last", "last byte"])
async def test_damage_after_the_first_piece_closes_the_connection(house, place, caplog):
    """No error document in the middle of an object, and never as many bytes as were promised."""
    data = bytes_of(3 * MIB)
    await house.put("/bucket/key", data)
    house.storage.damage = place
    answer = await house.send("GET", "/bucket/key")
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(data))
    assert data[:place].startswith(answer.body)
    assert not answer.whole
    assert house.storage.reading == 0


async def test_damage_outside_of_a_range_is_not_met(house):
    data = bytes_of(3 * MIB)
    await house.put("/bucket/key", data)
    house.storage.damage = 0
    answer = await house.send("GET", "/bucket/key", range=f"bytes={2 * MIB}-")
    assert (answer.status, answer.body) == (206, data[2 * MIB :])


async def test_missing_blob_is_an_error_before_the_status_line(house, caplog):
    await house.put("/bucket/key", bytes_of(3 * MIB))
    house.storage.memory.blobs.clear()
    answer = await house.send("GET", "/bucket/key")
    assert (answer.status, answer.whole) == (500, True)


async def test_segment_that_is_missing_later_closes_the_connection(house, caplog):
    data = await put_parts(house, "parts", [2 * MIB, 2 * MIB])
    house.storage.memory.blobs.popitem()
    answer = await house.send("GET", "/bucket/parts")
    assert (answer.status, answer.whole) == (200, False)
    assert data[: 2 * MIB].startswith(answer.body)


# --- the bytes that the reply began with --------------------------------------------------------


@pytest.mark.parametrize("change", ["overwrite", "delete"])
async def test_reader_keeps_the_old_bytes_over_an_overwrite_and_a_delete(house, change):
    """Its later segments too, which nobody has opened yet: garbage waits for the reader."""
    data = await put_parts(house, "key", [MIB, MIB, MIB])
    body = await object_body(house.exchange(), await found_in(house, "key"), Span(0, len(data)))
    assert not isinstance(body, bytes)
    pieces = aiter(body)
    got = await anext(pieces)
    if change == "overwrite":
        await house.put("/bucket/key", b"new")
    else:
        assert (await house.send("DELETE", "/bucket/key")).status == 204
    assert await remove_garbage(house.services) == 0
    got += b"".join([piece async for piece in pieces])
    assert got == data
    await body.aclose()
    assert await remove_garbage(house.services) == 3


async def test_slow_client_gets_the_old_bytes_over_an_overwrite(house):
    """On the wire, with all the buffers between."""
    data = await put_parts(house, "key", [8 * MIB, 8 * MIB, 8 * MIB])
    reader, writer = await house.connect()
    writer.write(b"GET /bucket/key HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    got = await reader.readexactly(100)
    await house.put("/bucket/key", b"new")
    assert await remove_garbage(house.services) == 0
    assert (await house.send("GET", "/bucket/key")).body == b"new"
    got += await reader.read()
    assert got == data
    await garbage_of(house, 3)


async def test_client_that_goes_away_releases_what_it_read(house):
    data = await put_parts(house, "key", [8 * MIB, 8 * MIB])
    reader, writer = await house.connect()
    writer.write(b"GET /bucket/key HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(100) == data[:100]
    assert house.storage.reading == 1
    await house.put("/bucket/key", b"new")
    writer.transport.abort()
    await garbage_of(house, 2)
    assert house.storage.reading == 0


async def garbage_of(house, blobs: int) -> None:
    """Wait until nobody holds back the garbage any more, and count it."""
    async with asyncio.timeout(10):
        while not await house.garbage():
            await asyncio.sleep(0)
    assert len(await house.garbage()) == blobs


@pytest.mark.parametrize("read", [0, 1, 2, None], ids=["nothing", "a piece", "two pieces", "all"])
async def test_closed_stream_holds_nothing_however_much_was_read(house, read):
    data = await put_parts(house, "key", [2 * MIB, 200, 2 * MIB])
    body = await object_body(house.exchange(), await found_in(house, "key"), Span(0, len(data)))
    assert isinstance(body, SegmentStream)
    pieces = aiter(body)
    for _ in range(10 if read is None else read):
        await anext(pieces, b"")
    await house.put("/bucket/key", b"new")
    assert await house.garbage() == []
    await body.aclose()
    await body.aclose()
    assert house.storage.reading == 0
    assert len(await house.garbage()) >= 2


async def test_stream_that_cannot_be_opened_holds_nothing(house):
    await house.put("/bucket/key", bytes_of(MIB))
    found = await found_in(house, "key")
    house.storage.memory.blobs.clear()
    with pytest.raises(BlobMissing):
        await object_body(house.exchange(), found, Span(0, found.size))
    await house.put("/bucket/key", b"new")
    assert len(await house.garbage()) == 1


async def test_object_replaced_between_its_row_and_its_blob_is_read_as_it_is_now(house, monkeypatch):
    """Possible where blobs have the names of objects; nobody is answered with an error for it."""
    await house.put("/bucket/key", b"old" * 1000)
    look = house.engine.object

    async def and_then_it_was_replaced(*args: Any, **more: Any) -> Any:
        found = await look(*args, **more)
        monkeypatch.setattr(house.engine, "object", look)
        await house.put("/bucket/key", b"new")
        house.storage.memory.blobs.pop(found[1].blob)
        return found

    monkeypatch.setattr(house.engine, "object", and_then_it_was_replaced)
    answer = await house.send("GET", "/bucket/key")
    assert (answer.status, answer.body) == (200, b"new")
