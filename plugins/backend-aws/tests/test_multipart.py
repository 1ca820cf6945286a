"""Multipart uploads one to one, and copies within upstream."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bleepstore.native import NativePart, NativeUpload
from bleepstore.storage import Blob, BlobMissing, Target, TokenMismatch, Unsupported
from bleepstore.testing.storage import MIB, random_bytes
from bleepstore_backend_aws import copying
from bleepstore_backend_aws.backend import AwsBackend
from bleepstore_backend_aws.staging import combined

pytestmark = pytest.mark.anyio

TARGET = Target(
    bucket="bucket", key="made of parts", headers={"content-type": "text/x-thing"}, metadata={"a": "b"}
)
PARTS = [random_bytes(5 * MIB, 1), random_bytes(9 * MIB + 7, 2), b"last"]
WHOLE = b"".join(PARTS)
TAG = combined([hashlib.md5(part).digest() for part in PARTS])

Read = Callable[..., Awaitable[bytes]]


@pytest.fixture(params=["moto", "seaweedfs", "bleepstore"])
def upstream_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def begin(storage: AwsBackend, target: Target = TARGET) -> NativeUpload:
    name = "e" * 32
    return NativeUpload(name=name, handle=await storage.begin_upload(name, target), target=target)


async def send(storage: AwsBackend, upload: NativeUpload, number: int, data: bytes) -> NativePart:
    staged = await storage.stage_part(upload, number, f"{number:032x}", size=len(data))
    for at in range(0, len(data), MIB):
        await staged.write(data[at : at + MIB])
    await staged.seal()
    blob = await staged.publish()
    await staged.settle()
    assert blob.size == len(data)
    return NativePart(number=number, blob=blob)


async def put(storage: AwsBackend, key: str, data: bytes) -> Blob:
    staged = await storage.stage("d" * 32, size=len(data), target=Target(bucket="bucket", key=key))
    await staged.write(data)
    blob = await staged.publish()
    await staged.settle()
    return blob


# --- uploads ----------------------------------------------------------------------------------------


async def test_parts_become_the_object_that_the_clouds_own_sdk_reads(
    storage: AwsBackend,
    read: Read,
    upstream: Callable[[str], dict[str, Any]],
    uploads: Callable[[], list[str]],
) -> None:
    upload = await begin(storage)
    assert uploads() == [upload.handle]
    parts = [await send(storage, upload, 3 * n + 1, data) for n, data in enumerate(PARTS)]
    staged = await storage.stage_upload(upload, parts)
    assert await staged.seal() == TAG
    blob = await staged.publish(expect="")
    await staged.settle()
    assert (blob.token, blob.size) == (TAG, len(WHOLE))
    assert await read(blob) == WHOLE
    found = upstream(blob.name)
    assert found["Body"] == WHOLE
    assert (found["ContentType"], found["Metadata"]) == ("text/x-thing", {"a": "b"})
    assert uploads() == []
    await storage.abort_upload(upload)
    assert await read(blob) == WHOLE


async def test_a_lost_condition_leaves_object_and_upload_as_they_are(storage: AwsBackend, read: Read) -> None:
    old = await put(storage, TARGET.key, b"old")
    upload = await begin(storage)
    part = await send(storage, upload, 1, b"new")
    for expect in ("", "0" * 32):
        staged = await storage.stage_upload(upload, [part])
        with pytest.raises(TokenMismatch):
            await staged.publish(expect=expect)
        await staged.discard()
    assert await read(old) == b"old"
    staged = await storage.stage_upload(upload, [part])
    assert await read(await staged.publish(expect=old.token)) == b"new"


async def test_a_part_written_again_is_the_one_that_counts(
    storage: AwsBackend, read: Read, upstream_name: str
) -> None:
    upload = await begin(storage)
    first = await send(storage, upload, 1, b"first")
    second = await send(storage, upload, 1, b"second")
    staged = await storage.stage_upload(upload, [first])
    if upstream_name == "seaweedfs":  # it keeps both
        assert await read(await staged.publish(expect="")) == b"first"
        return
    with pytest.raises(BlobMissing):
        await staged.publish(expect="")
    await staged.discard()
    staged = await storage.stage_upload(upload, [second])
    assert await read(await staged.publish(expect="")) == b"second"


async def test_a_part_that_is_discarded_before_it_is_published_replaces_none(
    storage: AwsBackend, read: Read
) -> None:
    upload = await begin(storage)
    part = await send(storage, upload, 1, b"good")
    bad = await storage.stage_part(upload, 1, "a" * 32)
    await bad.write(b"its digest is wrong")
    await bad.seal()
    await bad.discard()
    staged = await storage.stage_upload(upload, [part])
    assert await read(await staged.publish(expect="")) == b"good"


async def test_an_aborted_upload_is_gone_and_can_be_aborted_again(
    storage: AwsBackend, uploads: Callable[[], list[str]]
) -> None:
    upload = await begin(storage)
    await send(storage, upload, 1, b"part")
    await storage.abort_upload(upload)
    await storage.abort_upload(upload)
    assert uploads() == []


async def test_bodies_beyond_the_budget_are_spooled_to_files(
    make: Callable[..., AwsBackend], storage: AwsBackend, read: Read
) -> None:
    tight = make(memory_mib=1)
    await tight.start("0123456789abcdef" * 2, fresh=False)
    upload = await begin(tight)
    parts = [await send(tight, upload, n, data) for n, data in enumerate(PARTS, 1)]
    staged = await tight.stage_upload(upload, parts)
    assert await read(await staged.publish(expect="")) == WHOLE
    assert await read(await put(tight, "large", WHOLE)) == WHOLE
    assert tight.budget.take(1 * MIB)  # all was given back
    await tight.stop()


# --- copies -----------------------------------------------------------------------------------------


@pytest.fixture
def copies(storage: AwsBackend, upstream_name: str) -> bool:
    """Whether upstream honours preconditions of copies: a server that does not is not asked to copy."""
    assert storage.honoured.copy is (upstream_name != "moto")
    return storage.honoured.copy


async def test_a_copy_has_the_headers_and_metadata_that_are_given(
    storage: AwsBackend, read: Read, upstream: Callable[[str], dict[str, Any]], copies: bool
) -> None:
    source = await put(storage, "source", b"bytes")
    if not copies:
        with pytest.raises(Unsupported):
            await storage.stage_copy("1" * 32, source, TARGET)
        return
    staged = await storage.stage_copy("1" * 32, source, TARGET)
    assert await staged.seal() == source.token
    blob = await staged.publish(expect="")
    await staged.settle()
    assert await read(blob) == b"bytes"
    found = upstream(blob.name)
    assert (found["ContentType"], found["Metadata"]) == ("text/x-thing", {"a": "b"})


async def test_a_copy_onto_itself_replaces_headers(
    storage: AwsBackend, read: Read, upstream: Callable[[str], dict[str, Any]], copies: bool
) -> None:
    if not copies:
        return
    source = await put(storage, TARGET.key, b"bytes")
    staged = await storage.stage_copy("1" * 32, source, TARGET)
    blob = await staged.publish(expect=source.token)
    await staged.discard()  # the same bytes over themselves: a row still names them
    assert await read(blob) == b"bytes"
    assert upstream(blob.name)["ContentType"] == "text/x-thing"


async def test_a_copy_of_another_state_is_missing_and_a_lost_condition_a_mismatch(
    storage: AwsBackend, read: Read, copies: bool
) -> None:
    if not copies:
        return
    old = await put(storage, "source", b"old")
    new = await put(storage, "source", b"new")
    there = await put(storage, TARGET.key, b"there")
    staged = await storage.stage_copy("1" * 32, old, TARGET)
    with pytest.raises(BlobMissing):
        await staged.publish(expect=there.token)
    await staged.discard()
    for expect in ("", "0" * 32):
        staged = await storage.stage_copy("1" * 32, new, TARGET)
        with pytest.raises(TokenMismatch):
            await staged.publish(expect=expect)
        await staged.discard()
    staged = await storage.stage_copy("1" * 32, new, TARGET)
    await storage.delete(new.name, token=new.token)
    with pytest.raises(BlobMissing):
        await staged.publish(expect=there.token)
    await staged.discard()
    assert await read(there) == b"there"


@pytest.mark.parametrize("large", [False, True], ids=["made of parts", "large"])
async def test_a_source_of_parts_or_a_large_one_is_copied_in_parts(
    storage: AwsBackend,
    read: Read,
    uploads: Callable[[], list[str]],
    copies: bool,
    large: bool,
    monkeypatch: pytest.MonkeyPatch,
    upstream_name: str,
) -> None:
    if not copies:
        return
    monkeypatch.setattr(copying, "PART", 5 * MIB)
    monkeypatch.setattr(copying, "AT_ONCE", 5 * MIB)
    data = WHOLE[: 7 * MIB] if large else WHOLE
    source = await put(storage, "source", data)
    assert ("-" in (source.token or "")) is not large
    staged = await storage.stage_copy("1" * 32, source, TARGET)
    sealed = await staged.seal()
    assert len(uploads()) == 2
    blob = await staged.publish(expect="")
    assert await read(blob) == data
    if upstream_name == "bleepstore":  # SeaweedFS tells another ETag of a span than of the same bytes
        assert blob.token == sealed
    await staged.discard()
    assert uploads() == []
    with pytest.raises(BlobMissing):
        await storage.open(blob)


async def test_a_span_is_copied_into_a_part(storage: AwsBackend, read: Read, copies: bool) -> None:
    upload = await begin(storage)
    source = await put(storage, "source", PARTS[1])
    if not copies:
        with pytest.raises(Unsupported):
            await storage.stage_part_copy(upload, 1, "1" * 32, source, 0, source.size)
        return
    blobs = []
    for number, (start, length) in enumerate([(0, source.size), (1, 6 * MIB), (5, 10)], 1):
        staged = await storage.stage_part_copy(upload, number, f"{number:032x}", source, start, length)
        await staged.seal()
        blobs.append(NativePart(number=number, blob=await staged.publish()))
        await staged.settle()
    staged = await storage.stage_upload(upload, blobs)
    blob = await staged.publish(expect="")
    assert await read(blob) == PARTS[1] + PARTS[1][1 : 6 * MIB + 1] + PARTS[1][5:15]


async def test_a_part_is_not_copied_from_another_state(storage: AwsBackend, copies: bool) -> None:
    if not copies:
        return
    upload = await begin(storage)
    old = await put(storage, "source", b"old")
    await put(storage, "source", b"new")
    staged = await storage.stage_part_copy(upload, 1, "1" * 32, old, 0, old.size)
    with pytest.raises(BlobMissing):
        await staged.publish()
    await staged.discard()
    with pytest.raises(Unsupported):  # S3 copies spans only of what has more than 5 MiB
        await storage.stage_part_copy(upload, 1, "1" * 32, old, 1, 1)
