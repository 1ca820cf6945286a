"""Objects as they are upstream, and as the backend sees what is there."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bleepstore.native import NativeStaged
from bleepstore.storage import BlobMissing, Target, TokenMismatch, Unavailable, Unsupported
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_aws import uploading
from bleepstore_backend_aws.backend import AwsBackend
from bleepstore_backend_aws.spooling import Pieces
from bleepstore_backend_aws.staging import combined, part_size
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

LARGE = random_bytes(17 * MIB)
TAG = combined([hashlib.md5(LARGE[at : at + 8 * MIB]).digest() for at in range(0, len(LARGE), 8 * MIB)])
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
TARGET = Target(
    bucket="bucket",
    key="a/key with ü",
    headers={
        "content-type": "text/x-thing",
        "cache-control": "max-age=3",
        "content-disposition": 'attachment; filename="x"',
        "content-encoding": "gzip",
        "content-language": "de",
        "expires": DATE,
    },
    metadata={"some_name": "value", "other": "grün", "empty": "x=?"},
)


@pytest.fixture(params=["moto", "seaweedfs", "bleepstore"])
def upstream_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Write = Callable[..., Awaitable[NativeStaged]]
Read = Callable[..., Awaitable[bytes]]


@pytest.fixture
def write(storage: AwsBackend) -> Write:
    """Stage a body and leave it sealed."""
    numbers = iter(range(1, 1000))

    async def write(data: bytes, target: Target = TARGET, size: int | None = None) -> NativeStaged:
        staged = await storage.stage(f"{next(numbers):032x}", size=size, target=target)
        for at in range(0, len(data), MIB):
            await staged.write(data[at : at + MIB])
        await staged.seal()
        return staged

    return write


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
async def test_the_clouds_own_sdk_reads_the_object_with_type_and_metadata(
    storage: AwsBackend, write: Write, upstream: Callable[..., dict[str, Any]], data: bytes
) -> None:
    staged = await write(data)
    await staged.publish(expect="")
    await staged.settle()
    found = upstream("bucket/a/key with ü")
    assert found["Body"] == data
    assert found["ContentType"] == "text/x-thing"
    assert found["CacheControl"] == "max-age=3"
    assert found["ContentDisposition"] == 'attachment; filename="x"'
    assert found["ContentEncoding"] == "gzip"
    assert found["ContentLanguage"] == "de"
    assert found["ExpiresString"] == DATE
    assert found["Metadata"] == {"some_name": "value", "other": "=?UTF-8?B?Z3LDvG4=?=", "empty": "x=?"}


async def test_expiry_that_is_no_date_is_kept_or_refused_but_never_another(
    storage: AwsBackend, write: Write, upstream: Callable[..., dict[str, Any]], upstream_name: str
) -> None:
    staged = await write(b"", Target(bucket="bucket", key="expired", headers={"expires": "0"}))
    if upstream_name == "seaweedfs":
        with pytest.raises(Unsupported):
            await staged.publish(expect="")
        return
    blob = await staged.publish(expect="")
    assert upstream(blob.name)["ExpiresString"] == "0"


@pytest.mark.parametrize(("data", "tag"), [(b"", hashlib.md5(b"").hexdigest()), (LARGE, TAG)])
async def test_stat_tells_the_token_the_fingerprint_and_all_that_was_given(
    storage: AwsBackend, write: Write, data: bytes, tag: str
) -> None:
    staged = await write(data)
    sealed = await staged.seal()
    blob = await staged.publish(expect="")
    await staged.settle()
    found = await storage.stat(blob.name)
    assert found is not None
    assert (found.bucket, found.key, found.size) == ("bucket", "a/key with ü", len(data))
    assert found.token == blob.token
    assert found.fingerprint == sealed == tag
    assert found.etag == tag
    assert found.headers == TARGET.headers
    assert found.metadata == TARGET.metadata
    assert await storage.stat("bucket/nothing") is None


async def test_a_large_body_is_published_on_its_condition_alone(
    storage: AwsBackend, write: Write, read: Read, uploads: Callable[[], list[str]]
) -> None:
    old = await (await write(b"old")).publish(expect="")
    for expect in ("", "0" * 32):
        staged = await write(LARGE)
        with pytest.raises(TokenMismatch):
            await staged.publish(expect=expect)
        await staged.discard()
        assert await read(old) == b"old"
    assert uploads() == []
    staged = await write(LARGE)
    new = await staged.publish(expect=old.token)
    await staged.settle()
    assert await read(new, 8 * MIB - 3, 6) == LARGE[8 * MIB - 3 : 8 * MIB + 3]
    with pytest.raises(TokenMismatch):
        await storage.open(old)


async def test_a_large_body_that_is_discarded_leaves_nothing(
    storage: AwsBackend, write: Write, uploads: Callable[[], list[str]]
) -> None:
    staged = await write(LARGE)
    assert len(uploads()) == 2
    await staged.discard()
    assert uploads() == []


async def test_a_large_body_that_is_published_and_discarded_leaves_nothing(
    storage: AwsBackend, write: Write, uploads: Callable[[], list[str]]
) -> None:
    staged = await write(LARGE)
    blob = await staged.publish(expect="")
    await staged.discard()
    assert uploads() == []
    with pytest.raises(BlobMissing):
        await storage.open(blob)


async def test_discarding_the_same_bytes_over_themselves_keeps_what_a_row_names(
    storage: AwsBackend, write: Write, read: Read
) -> None:
    blob = await (await write(b"same")).publish(expect="")
    staged = await write(b"same")
    assert (await staged.publish(expect=blob.token)).token == blob.token
    await staged.discard()
    assert await read(blob) == b"same"


async def test_stopping_ends_the_writes_under_way(
    make: Callable[..., AwsBackend], storage: AwsBackend, write: Write, uploads: Callable[[], list[str]]
) -> None:
    other = make()
    await other.start(STORE, fresh=False)
    staged = await other.stage("f" * 32, target=TARGET)
    await staged.write(LARGE)
    assert len(uploads()) == 2
    await other.stop()
    assert uploads() == []


async def test_upkeep_aborts_the_uploads_that_a_dead_process_left(
    storage: AwsBackend, write: Write, uploads: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(LARGE)
    await storage.abandoned()
    assert len(uploads()) == 2  # it is young, and may be alive
    monkeypatch.setattr(uploading, "LEASE_SECONDS", -10.0)
    assert list(await storage.abandoned()) == []
    assert uploads() == []


async def test_an_upload_that_upkeep_took_for_dead_fails_and_changes_nothing(
    storage: AwsBackend, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = await write(LARGE)
    with monkeypatch.context() as patch:
        patch.setattr(uploading, "LEASE_SECONDS", -10.0)
        await storage.abandoned()
    with pytest.raises((BlobMissing, Unavailable)):  # moto says 500
        await staged.publish(expect="")
    await staged.discard()
    assert await storage.stat(staged.blob_name) is None


async def test_many_large_writes_at_once_are_each_whole(
    storage: AwsBackend, write: Write, read: Read
) -> None:
    async def one(n: int) -> None:
        data = random_bytes(9 * MIB + n, n)
        staged = await write(data, Target(bucket="bucket", key=f"large/{n}"), len(data))
        blob = await staged.publish(expect="")
        await staged.settle()
        assert await read(blob) == data

    await asyncio.gather(*map(one, range(6)))


# --- listings ---------------------------------------------------------------------------------------


async def test_listing_tells_objects_and_hides_bookkeeping(storage: AwsBackend, write: Write) -> None:
    for n, key in enumerate(["a", "b/./x", "b/y", "c/ü", "zz"]):
        for bucket in ("bucket", "other"):
            await (await write(bytes([n]) * n, Target(bucket=bucket, key=key))).publish(expect="")
    await write(LARGE)  # an upload is no object
    assert {bucket async for bucket in storage.buckets()} == {"bucket", "other"}
    found = [one async for one in storage.objects("bucket")]
    assert [(one.key, one.size) for one in found] == [
        ("a", 0),
        ("b/./x", 1),
        ("b/y", 2),
        ("c/ü", 3),
        ("zz", 4),
    ]
    for one in found:
        assert one.name == storage.name_of("bucket", one.key)
        assert (
            one.etag == one.fingerprint == one.token == hashlib.md5(bytes([one.size]) * one.size).hexdigest()
        )
    assert [one.key async for one in storage.objects("bucket", prefix="b/")] == ["b/./x", "b/y"]
    assert [one.key async for one in storage.objects("bucket", prefix="b/.")] == ["b/./x"]
    assert [one.key async for one in storage.objects("bucket", after=found[1].name)] == ["b/y", "c/ü", "zz"]
    assert [one.key async for one in storage.objects("bucke")] == []


# --- sizes ------------------------------------------------------------------------------------------


def test_ten_thousand_parts_hold_what_s3_can_hold() -> None:
    largest = 5 * 1024**4
    for size in (1, 80_000 * MIB, 80_000 * MIB + 1, largest):
        part = part_size(8 * MIB, size, 1)
        assert part * 10_000 >= size
        assert part % MIB == 0
    assert part_size(8 * MIB, 5 * 1024**3, 1) == 8 * MIB
    assert sum(part_size(8 * MIB, None, number) for number in range(1, 10_001)) >= largest
    assert max(part_size(8 * MIB, None, number) for number in range(1, 10_001)) <= 5 * 1024**3


@given(
    pieces=st.lists(st.binary(max_size=9), max_size=5),
    steps=st.lists(st.one_of(st.integers(-1, 12), st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 2])))),
)
def test_pieces_are_read_as_a_file_is(pieces: list[bytes], steps: list[int | tuple[int, int]]) -> None:
    whole = b"".join(pieces)
    body, at = Pieces(pieces, len(whole)), 0
    for step in steps:
        if isinstance(step, tuple):
            offset, whence = step
            at = min(offset + (0, at, len(whole))[whence], len(whole))
            assert body.seek(offset, whence) == at
        else:
            found = body.read(step)
            assert found == whole[at : at + len(found)]
            assert found or not step or at == len(whole)
            assert step < 0 or len(found) <= step
            at = len(whole) if step < 0 else at + len(found)
        assert body.tell() == at


async def test_bytes_under_a_folders_name_are_kept_or_refused(
    storage: AwsBackend, write: Write, read: Read, upstream_name: str
) -> None:
    """Never taken and lost: SeaweedFS answers 200, and has none of them."""
    target = Target(bucket="bucket", key="folder/")
    if upstream_name == "seaweedfs":
        with pytest.raises(Unsupported, match="slash"):
            await write(b"bytes", target)
        staged = await write(b"", target)
        blob = await staged.publish(expect="")
        assert blob.size == 0
    else:
        staged = await write(b"bytes", target)
        assert await read(await staged.publish(expect="")) == b"bytes"
    await staged.settle()
