"""Multipart uploads on private blobs, and what the emulator cannot: Put Block From URL."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from azure.storage.blob import ContainerClient
from azure_faults import faulty, refused
from bleepstore.native import NativePart, NativeUpload
from bleepstore.storage import Blob, BlobMissing, Target, TokenMismatch, Unavailable, Unsupported
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_azure import multipart, staging
from bleepstore_backend_azure.backend import AzureBackend
from faulty_http import Faults
from native_writes import read

pytestmark = pytest.mark.anyio

LARGE = random_bytes(2 * MIB + 1)


@pytest.fixture
def faults(emulator: str) -> Iterator[Faults]:
    """What stands between the backend and the emulator, and can Put Block From URL."""
    with faulty(emulator) as faults:
        yield faults


@pytest.fixture
async def storage(make: Callable[..., AzureBackend], faults: Faults) -> AsyncIterator[AzureBackend]:
    """A backend with blocks of 1 MiB."""
    storage = make(endpoint=faults.endpoint, block_mib=1, attempts=1)
    await storage.start(STORE, fresh=True)
    yield storage
    await storage.stop()


async def begin(storage: AzureBackend, key: str = "key") -> NativeUpload:
    name = secrets.token_hex(16)
    target = Target(bucket="bucket", key=key, headers={"content-type": "text/x"}, metadata={"with-dash": "é"})
    return NativeUpload(name=name, handle=await storage.begin_upload(name, target), target=target)


async def part(storage: AzureBackend, upload: NativeUpload, number: int, *pieces: bytes) -> NativePart:
    staged = await storage.stage_part(upload, number, secrets.token_hex(16))
    for piece in pieces:
        await staged.write(piece)
    blob = await staged.publish()
    await staged.settle()
    return NativePart(number=number, blob=blob)


async def complete(
    storage: AzureBackend, upload: NativeUpload, *parts: NativePart, expect: str | None = ""
) -> Blob:
    staged = await storage.stage_upload(upload, parts)
    fingerprint = await staged.seal()
    blob = await staged.publish(expect=expect)
    found = await storage.stat(blob.name)
    assert found is not None
    assert (found.fingerprint, found.token, found.size) == (fingerprint, blob.token, blob.size)
    await staged.settle()
    await storage.abort_upload(upload)
    return blob


def stored(container: ContainerClient) -> list[str]:
    """Names of all blobs, also of those that have blocks only, but the store's id."""
    prefix = "some/where/"
    found = [blob.name.removeprefix(prefix) for blob in container.list_blobs(include=["uncommittedblobs"])]
    return [name for name in found if name != ".bleepstore/store"]


async def test_parts_of_any_size_become_one_object(storage: AzureBackend, container: ContainerClient):
    upload = await begin(storage)
    parts = [
        await part(storage, upload, number, *pieces)
        for number, pieces in enumerate(([LARGE], [], [b"x"], [LARGE[:MIB]], [b"a" * MIB, b"b"], []), 1)
    ]
    blob = await complete(storage, upload, *parts)
    assert await read(storage, blob) == LARGE + b"x" + LARGE[:MIB] + b"a" * MIB + b"b"
    assert stored(container) == ["bucket/key"]
    properties = container.get_blob_client("some/where/bucket/key").get_blob_properties()
    assert properties.content_settings.content_type == "text/x"
    found = await storage.stat(blob.name)
    assert found is not None
    assert (found.etag, dict(found.metadata)) == (None, {"with-dash": "é"})


async def test_upload_of_nothing_but_an_empty_part_is_an_empty_object(storage: AzureBackend):
    upload = await begin(storage)
    blob = await complete(storage, upload, await part(storage, upload, 1))
    assert await read(storage, blob) == b""


async def test_part_that_is_written_twice_is_whichever_counts(storage: AzureBackend):
    for chosen in (0, 1):
        upload = await begin(storage)
        twice = [await part(storage, upload, 1, body) for body in (LARGE, LARGE[::-1])]
        blob = await complete(storage, upload, twice[chosen], expect=None)
        assert await read(storage, blob) == (LARGE, LARGE[::-1])[chosen]


async def test_parts_that_are_not_listed_are_dropped(storage: AzureBackend, container: ContainerClient):
    upload = await begin(storage)
    parts = [await part(storage, upload, n, bytes([n])) for n in range(1, 6)]
    blob = await complete(storage, upload, parts[3], parts[4])
    assert await read(storage, blob) == b"\4\5"
    assert stored(container) == ["bucket/key"]


async def test_uploads_of_one_key_do_not_touch_each_other(storage: AzureBackend):
    first, second = await begin(storage), await begin(storage)
    one = await part(storage, first, 1, LARGE)
    two = await part(storage, second, 1, LARGE[::-1])
    blob = await complete(storage, second, two)
    staged = await storage.stage("0" * 32, target=first.target)
    await staged.write(b"a put between")
    between = await staged.publish(expect=blob.token)
    assert await read(storage, await complete(storage, first, one, expect=between.token)) == LARGE


async def test_completion_on_another_state_is_refused_and_can_be_made_again_with_other_parts(
    storage: AzureBackend,
):
    upload = await begin(storage)
    parts = [await part(storage, upload, n, bytes([n])) for n in (1, 2)]
    staged = await storage.stage_upload(upload, parts[:1])
    with pytest.raises(TokenMismatch):
        await staged.publish(expect="0x0")
    await staged.discard()
    assert await storage.stat("bucket/key") is None
    assert await read(storage, await complete(storage, upload, *parts)) == b"\1\2"


async def test_completion_that_is_discarded_can_be_made_again(
    storage: AzureBackend, container: ContainerClient
):
    upload = await begin(storage)
    parts = [await part(storage, upload, n, bytes([n])) for n in (1, 2)]
    staged = await storage.stage_upload(upload, parts)
    await staged.publish(expect="")
    await staged.discard()
    assert await storage.stat("bucket/key") is None
    assert await read(storage, await complete(storage, upload, *parts)) == b"\1\2"
    assert stored(container) == ["bucket/key"]


async def test_abort_drops_all_blocks_and_is_idempotent(storage: AzureBackend, container: ContainerClient):
    upload = await begin(storage)
    one = await part(storage, upload, 1, LARGE)
    assert stored(container) == [multipart.private_name(upload)]
    for _ in range(2):
        await storage.abort_upload(upload)
        assert stored(container) == []
    staged = await storage.stage_upload(upload, [one])
    with pytest.raises(BlobMissing):
        await staged.publish(expect="")
    await storage.abort_upload(await begin(storage))


async def test_object_of_too_many_blocks_is_refused(storage: AzureBackend, monkeypatch: pytest.MonkeyPatch):
    upload = await begin(storage)
    one = await part(storage, upload, 1, LARGE)
    many = [NativePart(number=n, blob=one.blob) for n in range(1, staging.MOST_BLOCKS // 3 + 2)]
    with pytest.raises(Unsupported):
        await storage.stage_upload(upload, many)
    monkeypatch.setattr(staging, "MOST_BLOCKS", 2)
    staged = await storage.stage("0" * 32, target=upload.target)
    with pytest.raises(Unsupported):  # noqa: PT012 - the last block is sent by whichever comes
        await staged.write(LARGE)
        await staged.publish()
    await staged.discard()


async def test_ids_of_blocks_are_of_one_length(storage: AzureBackend, faults: Faults):
    upload = await begin(storage)
    await part(storage, upload, 1, LARGE)
    await part(storage, upload, 10_000, b"x")
    ids = {request.query["blockid"] for request in faults.seen if "blockid" in request.target}
    assert len(ids) == 4
    assert len({len(block_id) for block_id in ids}) == 1


# --- copies into parts ----------------------------------------------------------------------------------


@pytest.fixture
async def source(storage: AzureBackend) -> Blob:
    staged = await storage.stage("f" * 32, target=Target(bucket="bucket", key="a source"))
    await staged.write(LARGE)
    return await staged.publish()


@pytest.mark.parametrize(("start", "length"), [(0, len(LARGE)), (5, MIB), (7, 0), (MIB, MIB + 1)])
async def test_part_is_copied_by_the_service(
    storage: AzureBackend, source: Blob, monkeypatch: pytest.MonkeyPatch, start: int, length: int
):
    monkeypatch.setattr(multipart, "COPIED_BLOCK", 300_000)
    upload = await begin(storage)
    staged = await storage.stage_part_copy(upload, 1, secrets.token_hex(16), source, start, length)
    blob = await staged.publish()
    await staged.settle()
    assert blob.size == length
    whole = await complete(
        storage, upload, NativePart(number=1, blob=blob), await part(storage, upload, 2, b"end")
    )
    assert await read(storage, whole) == LARGE[start : start + length] + b"end"


async def test_part_is_not_copied_of_another_state(storage: AzureBackend, source: Blob, faults: Faults):
    upload = await begin(storage)
    gone = Blob(name=source.name, size=source.size, token="0x0")
    staged = await storage.stage_part_copy(upload, 1, secrets.token_hex(16), gone, 0, 10)
    with pytest.raises(BlobMissing):
        await staged.publish()
    await staged.discard()
    await storage.delete(source.name, token=source.token)
    staged = await storage.stage_part_copy(upload, 1, secrets.token_hex(16), source, 0, 10)
    with pytest.raises(BlobMissing):
        await staged.publish()
    await staged.discard()


async def test_service_that_cannot_copy_parts_is_asked_once(
    make: Callable[..., AzureBackend], faults: Faults, source: Blob, container: ContainerClient
):
    """The emulator itself says 501; whoever calls reads and writes instead."""
    faults.arm(refused(501, "APINotImplemented"), times=9, header="x-ms-copy-source")
    again = make(endpoint=faults.endpoint)
    await again.start(STORE, fresh=False)
    upload, asked = await begin(again), len(faults.seen)
    for _ in range(3):
        with pytest.raises(Unsupported):
            await again.stage_part_copy(upload, 1, secrets.token_hex(16), source, 0, 10)
    assert len(faults.seen) == asked + 1
    assert not [name for name in stored(container) if name.startswith(".bleepstore")]
    await again.stop()


async def test_service_that_is_in_trouble_is_asked_again_whether_it_copies(
    make: Callable[..., AzureBackend], faults: Faults, source: Blob
):
    again = make(endpoint=faults.endpoint, attempts=1)
    await again.start(STORE, fresh=False)
    upload = await begin(again)
    faults.arm(refused(503, "ServerBusy"), header="x-ms-copy-source")
    with pytest.raises(Unavailable):
        await again.stage_part_copy(upload, 1, secrets.token_hex(16), source, 0, 10)
    staged = await again.stage_part_copy(upload, 1, secrets.token_hex(16), source, 0, 10)
    assert (await staged.publish()).size == 10
    await again.stop()


async def test_emulator_cannot_copy_parts(make: Callable[..., AzureBackend], source: Blob):
    """Pinned: on the day it can, the stub beside it is of no use any more."""
    storage = make()
    await storage.start(STORE, fresh=False)
    with pytest.raises(Unsupported, match="Put Block From URL"):
        await storage.stage_part_copy(await begin(storage), 1, secrets.token_hex(16), source, 0, 10)
    await storage.stop()
