"""Multipart uploads as the service sees them: private parts, a tree of composes, nothing left."""

import secrets
from collections.abc import AsyncIterator, Callable

import google_crc32c
import pytest
from bleepstore.native import NativePart, NativeUpload
from bleepstore.storage import (
    Blob,
    BlobMissing,
    StorageFault,
    Target,
    TokenMismatch,
    Unavailable,
    Unsupported,
)
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_gcp import multipart, objects
from bleepstore_backend_gcp.backend import GcpBackend
from faulty_http import lost, reset
from gcp import BUCKET, client
from gcp_stub import Stub, refused
from hypothesis import given
from hypothesis import strategies as st
from native_writes import read

pytestmark = pytest.mark.anyio

LARGE = random_bytes(2 * MIB + 1)
TARGET = Target(bucket="bucket", key="key", headers={"content-type": "text/x"}, metadata={"with-dash": "é"})


@pytest.fixture
async def storage(
    make: Callable[..., GcpBackend], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GcpBackend]:
    """A backend with buffers of 1 MiB that gives up soon."""
    monkeypatch.setattr("bleepstore_backend_gcp.calls.FIRST_PAUSE", 0.01)
    storage = make(timeout=1, deadline=1, threads=8, buffer_mib=1)
    await storage.start(STORE, fresh=True)
    yield storage
    await storage.stop()


async def begin(storage: GcpBackend) -> NativeUpload:
    name = secrets.token_hex(16)
    return NativeUpload(name=name, handle=await storage.begin_upload(name, TARGET), target=TARGET)


async def part(storage: GcpBackend, upload: NativeUpload, number: int, body: bytes = b"") -> NativePart:
    staged = await storage.stage_part(upload, number, secrets.token_hex(16))
    if body:
        await staged.write(body)
    await staged.seal()
    blob = await staged.publish()
    await staged.settle()
    assert (blob.size, blob.token) == (len(body), None)
    return NativePart(number=number, blob=blob)


async def complete(
    storage: GcpBackend, upload: NativeUpload, *parts: NativePart, expect: str | None = ""
) -> Blob:
    staged = await storage.stage_upload(upload, parts)
    try:
        fingerprint = await staged.seal()
        blob = await staged.publish(expect=expect)
    except BaseException:
        await staged.discard()
        raise
    found = await storage.stat(blob.name)
    assert found is not None
    assert (found.fingerprint, found.token, found.size) == (fingerprint, blob.token, blob.size)
    await staged.settle()
    return blob


def stored(stub: Stub) -> list[str]:
    """What is there beside the store's id, as rows name it."""
    found = [name.removeprefix("some/where/") for name in stub.service.names(BUCKET)]
    return [name for name in found if name != ".bleepstore/store"]


def composes(stub: Stub) -> int:
    return len([request for request in stub.seen if "/compose" in request.target])


async def test_parts_of_any_size_become_one_object_as_the_cloud_s_own_sdk_sees_it(
    storage: GcpBackend, stub: Stub
):
    upload = await begin(storage)
    bodies = [LARGE, b"", b"x", LARGE[:MIB], b"a" * MIB + b"b", b""]
    parts = [await part(storage, upload, number, body) for number, body in enumerate(bodies, 1)]
    blob = await complete(storage, upload, *parts)
    assert await read(storage, blob) == b"".join(bodies)
    await storage.abort_upload(upload)
    assert stored(stub) == ["bucket/key"]
    item = client(stub.endpoint).bucket(BUCKET).get_blob("some/where/bucket/key")
    assert item.download_as_bytes() == b"".join(bodies)
    assert (item.content_type, item.metadata, item.md5_hash) == ("text/x", {"with-dash": "é"}, None)
    found = await storage.stat(blob.name)
    assert found is not None
    assert (found.etag, dict(found.metadata)) == (None, {"with-dash": "é"})


async def test_upload_of_nothing_but_empty_parts_is_an_empty_object(storage: GcpBackend):
    upload = await begin(storage)
    blob = await complete(storage, upload, await part(storage, upload, 1), await part(storage, upload, 2))
    assert await read(storage, blob) == b""
    with pytest.raises(TokenMismatch):
        await complete(storage, upload, await part(storage, upload, 1))


TREES = [(1, 1), (2, 1), (32, 1), (33, 2 + 1), (1024, 32 + 1), (1025, 33 + 2 + 1)]


@pytest.mark.parametrize(("count", "calls"), TREES)
async def test_parts_are_joined_by_a_tree(storage: GcpBackend, stub: Stub, count: int, calls: int):
    upload = await begin(storage)
    parts = [await part(storage, upload, 1, b"first")]
    template = parts[0].blob
    for number in range(2, count + 1):  # written as a part is, but faster
        name = multipart.part_name(upload, number, secrets.token_hex(16))
        stub.service.store(BUCKET, f"some/where/{name}", b"%05d" % number, {}, {})
        parts.append(NativePart(number=number, blob=Blob(name=name, size=template.size)))
    blob = await complete(storage, upload, *parts)
    assert composes(stub) == calls
    assert await read(storage, blob) == b"first" + b"".join(b"%05d" % n for n in range(2, count + 1))
    assert len(stored(stub)) == count + 1  # no joint is left
    await storage.abort_upload(upload)
    assert stored(stub) == ["bucket/key"]


async def test_ten_thousand_parts_become_one_object(storage: GcpBackend, stub: Stub):
    upload = await begin(storage)
    parts = []
    for number in range(1, 10_001):
        name = multipart.part_name(upload, number, "0" * 32)
        stub.service.store(BUCKET, f"some/where/{name}", b"%05d" % number, {}, {})
        parts.append(NativePart(number=number, blob=Blob(name=name, size=5)))
    blob = await complete(storage, upload, *parts)
    assert composes(stub) == 313 + 10 + 1
    assert await read(storage, blob) == b"".join(b"%05d" % n for n in range(1, 10_001))


async def test_completion_that_fails_half_way_leaves_no_joint_and_can_be_made_again(
    storage: GcpBackend, stub: Stub
):
    upload = await begin(storage)
    parts = [await part(storage, upload, n, b"%d" % n) for n in range(1, 41)]
    before = stored(stub)
    stub.arm(refused(403, "forbidden"), target="-0-1/compose")
    with pytest.raises(StorageFault):
        await complete(storage, upload, *parts)
    assert stored(stub) == before
    stub.arm(refused(412, "conditionNotMet"), target="bucket/key/compose")
    with pytest.raises(TokenMismatch):
        await complete(storage, upload, *parts)
    assert stored(stub) == before
    blob = await complete(storage, upload, *parts)
    assert await read(storage, blob) == b"".join(b"%d" % n for n in range(1, 41))


async def test_composes_whose_answers_are_lost_are_recognised(storage: GcpBackend, stub: Stub):
    upload = await begin(storage)
    parts = [await part(storage, upload, n, b"%d" % n) for n in range(1, 41)]
    for where in ("-0-0/compose", "-0-1/compose", "bucket/key/compose"):
        stub.arm(lost, target=where)
    blob = await complete(storage, upload, *parts)
    assert await read(storage, blob) == b"".join(b"%d" % n for n in range(1, 41))
    assert len(stored(stub)) == 41


async def test_part_whose_answer_is_lost_is_recognised(storage: GcpBackend, stub: Stub):
    upload = await begin(storage)
    stub.arm(lost, method="POST")
    one = await part(storage, upload, 1, b"small")
    stub.arm(lost, times=3, method="PUT")
    two = await part(storage, upload, 2, LARGE)
    assert await read(storage, await complete(storage, upload, one, two)) == b"small" + LARGE


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
async def test_part_that_is_discarded_leaves_nothing(storage: GcpBackend, stub: Stub, body: bytes):
    upload = await begin(storage)
    for sealed in (False, True):
        staged = await storage.stage_part(upload, 1, secrets.token_hex(16))
        await staged.write(body)
        if sealed:
            await staged.publish()
        await staged.discard()
        assert stored(stub) == []
    assert stub.service.sessions.keys() <= {"done"} or all(s.done for s in stub.service.sessions.values())


async def test_part_is_deleted_by_its_name_alone(storage: GcpBackend, stub: Stub):
    upload = await begin(storage)
    one = await part(storage, upload, 1, b"x")
    for _ in range(2):
        await storage.delete(one.blob.name)
    assert stored(stub) == []
    with pytest.raises(BlobMissing):
        await complete(storage, upload, one)


async def test_part_of_another_size_is_missing(storage: GcpBackend, stub: Stub):
    upload = await begin(storage)
    one = await part(storage, upload, 1, b"x")
    stub.service.store(BUCKET, f"some/where/{one.blob.name}", b"longer", {}, {})
    with pytest.raises(BlobMissing):
        await complete(storage, upload, one)


async def test_abort_drops_what_a_crash_has_left_and_no_other_upload(storage: GcpBackend, stub: Stub):
    upload, other = await begin(storage), await begin(storage)
    kept = await part(storage, other, 1, b"kept")
    await part(storage, upload, 1, b"of no row")
    stub.service.store(BUCKET, f"some/where/{multipart.folder(upload)}0123-0-0", b"a joint", {}, {})
    stub.arm(reset, method="DELETE")
    for _ in range(2):
        await storage.abort_upload(upload)
    assert stored(stub) == [kept.blob.name]


async def test_abort_that_fails_says_so_and_can_be_asked_again(storage: GcpBackend, stub: Stub):
    upload = await begin(storage)
    for number in (1, 2, 3):
        await part(storage, upload, number, b"x")
    stub.arm(refused(503, "backendError"), times=999, method="DELETE")
    with pytest.raises(Unavailable):
        await storage.abort_upload(upload)
    stub.disarm()
    await storage.abort_upload(upload)
    assert stored(stub) == []


async def test_object_that_is_too_large_is_refused(storage: GcpBackend):
    upload = await begin(storage)
    one = await part(storage, upload, 1, b"x")
    huge = Blob(name=one.blob.name, size=multipart.LARGEST)
    with pytest.raises(Unsupported):
        await storage.stage_upload(upload, [one, NativePart(number=2, blob=huge)])


# --- copies into parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", LARGE], ids=["empty", "large"])
async def test_whole_object_is_copied_into_a_part_by_the_service(
    storage: GcpBackend, stub: Stub, body: bytes
):
    staged = await storage.stage("f" * 32, target=Target(bucket="bucket", key="source"))
    if body:
        await staged.write(body)
    source = await staged.publish(expect="")
    await staged.settle()
    upload = await begin(storage)
    staged = await storage.stage_part_copy(upload, 1, secrets.token_hex(16), source, 0, len(body))
    stub.arm(lost, target=f"rewriteTo/b/{BUCKET}/o/some/where/.bleepstore/uploads/")
    await staged.seal()
    copied = NativePart(number=1, blob=await staged.publish())
    assert copied.blob.size == len(body)
    blob = await complete(storage, upload, copied, await part(storage, upload, 2, b"end"))
    assert await read(storage, blob) == body + b"end"
    again = await storage.stage_part_copy(upload, 3, secrets.token_hex(16), source, 0, len(body))
    await again.publish()
    await again.discard()
    await storage.abort_upload(upload)
    assert stored(stub) == ["bucket/source", "bucket/key"]


async def test_part_is_never_copied_from_another_state(storage: GcpBackend, stub: Stub):
    staged = await storage.stage("f" * 32, target=Target(bucket="bucket", key="source"))
    await staged.write(b"old")
    source = await staged.publish(expect="")
    upload = await begin(storage)
    stub.service.store(BUCKET, "some/where/bucket/source", b"new", {}, {})
    copy = await storage.stage_part_copy(upload, 1, secrets.token_hex(16), source, 0, 3)
    with pytest.raises(BlobMissing):
        await copy.publish()
    await copy.discard()
    assert stored(stub) == ["bucket/source"]


@pytest.mark.parametrize(("start", "length"), [(1, 2), (0, 2), (3, 0)])
async def test_span_is_left_to_the_caller(storage: GcpBackend, start: int, length: int):
    source = Blob(name="bucket/source", size=3, token="1.1")
    with pytest.raises(Unsupported):
        await storage.stage_part_copy(await begin(storage), 1, secrets.token_hex(16), source, start, length)


# --- digests ----------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_digest_of_the_whole_is_that_of_the_parts(parts: list[bytes]):
    spans = [(google_crc32c.value(data), len(data)) for data in parts]
    assert objects.combined(spans) == google_crc32c.value(b"".join(parts))
