"""A service in trouble: errors, silence, resets, answers that are lost after success."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace as replace_in
from typing import Any

import pytest
from bleepstore.storage import (
    BackendFailed,
    Blob,
    BlobMissing,
    Damaged,
    OutOfSpace,
    StorageFault,
    Target,
    TokenMismatch,
    Unavailable,
    Unsupported,
)
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_gcp.backend import GcpBackend
from faulty_http import Act, after, cut_off, lost, reset, silent, then
from gcp import BUCKET
from gcp_stub import Stub, refused, shortened, spoilt
from native_writes import read, staged

pytestmark = pytest.mark.anyio

SMALL = b"a small body"
LARGE = random_bytes(2 * MIB + 1)
"""Three buffers."""
NAME = "some/where/bucket/key"
bodies = pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])


@pytest.fixture
async def storage(
    make: Callable[..., GcpBackend], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GcpBackend]:
    """A backend that gives up soon, hardly pauses, and has buffers of 1 MiB."""
    monkeypatch.setattr("bleepstore_backend_gcp.calls.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("bleepstore_backend_gcp.calls.LONGEST_PAUSE", 0.02)
    monkeypatch.setattr("bleepstore_backend_gcp.calls.SLOW_SECONDS", 1)
    storage = make(timeout=1, deadline=1, threads=4, buffer_mib=1)
    await storage.start(STORE, fresh=True)
    yield storage
    await storage.stop()


def target(**metadata: str) -> Target:
    headers = {"content-type": "text/plain", "cache-control": "no-cache"}
    return Target(bucket="bucket", key="key", headers=headers, metadata={"a": "b", **metadata})


async def stage(storage: GcpBackend, body: bytes = SMALL) -> Any:
    return await staged(storage, body, target())


async def put(storage: GcpBackend, body: bytes = SMALL, expect: str | None = None) -> Blob:
    blob: Blob = await (await stage(storage, body)).publish(expect=expect)
    return blob


def stored(stub: Stub) -> list[str]:
    """What is there beside the store's id."""
    return [name for name in stub.service.names(BUCKET) if not name.endswith(".bleepstore/store")]


def replace(stub: Stub, body: bytes = b"by another", name: str = NAME) -> None:
    """Somebody else writes."""
    stub.service.store(BUCKET, name, body, {}, {})


# --- errors -------------------------------------------------------------------------------------------

ERRORS = [
    (400, "invalid", BackendFailed),
    (401, "authError", BackendFailed),
    (403, "forbidden", BackendFailed),
    (403, "objectUnderActiveHold", BackendFailed),
    (403, "rateLimitExceeded", Unavailable),
    (404, "notFound", BlobMissing),
    (409, "conflict", BackendFailed),
    (410, "gone", BackendFailed),
    (412, "conditionNotMet", TokenMismatch),
    (413, "uploadTooLarge", Unsupported),
    (416, "requestedRangeNotSatisfiable", Damaged),
    (429, "rateLimitExceeded", Unavailable),
    (500, "backendError", Unavailable),
    (501, "notImplemented", Unsupported),
    (502, "", Unavailable),
    (503, "backendError", Unavailable),
    (507, "", OutOfSpace),
]


@pytest.mark.parametrize(("status", "reason", "fault"), ERRORS)
async def test_error_is_its_fault(
    storage: GcpBackend, stub: Stub, status: int, reason: str, fault: type[StorageFault]
):
    blob = await put(storage)
    stub.arm(refused(status, reason), times=999, method="GET", target="alt=media")
    with pytest.raises(fault):
        await storage.open(blob)
    stub.disarm()
    stub.arm(refused(status, reason), times=999, method="DELETE")
    if status in (404, 412):
        stub.arm(refused(404, "notFound"), times=999, method="GET")
        await storage.delete(blob.name, token=blob.token)  # it is not there any more
    else:
        with pytest.raises(fault):
            await storage.delete(blob.name, token=blob.token)
    stub.disarm()
    staged = await stage(storage, b"refused")
    stub.arm(refused(status, reason), times=999, method="POST")
    with pytest.raises(BackendFailed if fault is BlobMissing else fault):
        await staged.publish()
    stub.disarm()
    await staged.discard()
    assert await read(storage, blob) == SMALL


async def test_bucket_that_is_gone_is_no_missing_object(storage: GcpBackend, stub: Stub):
    blob = await put(storage)
    gone = stub.service.buckets.pop(BUCKET)
    with pytest.raises(BackendFailed):
        await storage.stat(blob.name)
    with pytest.raises(BackendFailed):
        await put(storage)
    stub.service.buckets[BUCKET] = gone
    assert await read(storage, blob) == SMALL


@bodies
@pytest.mark.parametrize(
    "act", [refused(503, "backendError"), refused(429), reset], ids=["503", "429", "reset"]
)
async def test_service_that_is_in_trouble_once_is_asked_again(
    storage: GcpBackend, stub: Stub, body: bytes, act: Act
):
    for method in ("POST", "PUT"):
        stub.arm(act, method=method)
    blob = await put(storage, body, expect="")
    stub.arm(act, method="GET")
    assert await read(storage, blob) == body
    stub.arm(act, method="DELETE")
    await storage.delete(blob.name, token=blob.token)
    assert stored(stub) == []


async def test_connection_of_a_refused_read_is_used_again(storage: GcpBackend, stub: Stub):
    blob = await put(storage)
    before = len(stub.connections)
    for _ in range(10):
        stub.arm(refused(503, "backendError"), method="GET")
        assert await read(storage, blob) == SMALL
        stub.arm(refused(401, "authError"), method="GET")
        with pytest.raises(BackendFailed):
            await storage.open(blob)
    assert len(stub.connections) == before


# --- answers that are lost after success --------------------------------------------------------------


@bodies
async def test_publishing_whose_answer_is_lost_is_recognised(storage: GcpBackend, stub: Stub, body: bytes):
    expect = ""
    for target in ("uploadType=multipart" if body is SMALL else "rewriteTo",) * 2:
        staged = await stage(storage, body)
        await staged.seal()
        stub.arm(lost, method="POST", target=target)
        blob = await staged.publish(expect=expect)
        await staged.settle()
        assert await read(storage, blob) == body
        expect = blob.token
    assert stored(stub) == [NAME]


async def test_what_was_only_recognised_is_not_removed(storage: GcpBackend, stub: Stub):
    """Another may have written the very same, and was told so."""
    staged = await stage(storage)
    stub.arm(lost, method="POST")
    blob = await staged.publish(expect="")
    await staged.discard()
    assert await read(storage, blob) == SMALL


@bodies
async def test_publishing_whose_answer_is_lost_and_that_was_replaced_is_refused(
    storage: GcpBackend, stub: Stub, body: bytes
):
    staged = await stage(storage, body)
    await staged.seal()
    stub.arm(then(lambda: replace(stub)), method="POST")
    with pytest.raises(TokenMismatch):
        await staged.publish(expect="")
    await staged.discard()
    assert stored(stub) == [NAME]
    assert stub.service.buckets[BUCKET][NAME].data == b"by another"


async def test_same_bytes_with_other_metadata_are_not_recognised(storage: GcpBackend, stub: Stub):
    staged = await stage(storage)
    stub.arm(then(lambda: replace(stub, SMALL), act=reset), method="POST")
    with pytest.raises(TokenMismatch):
        await staged.publish(expect="")


async def test_copy_onto_itself_whose_answer_is_lost_is_recognised(storage: GcpBackend, stub: Stub):
    blob = await put(storage)
    copy = await storage.stage_copy(secrets.token_hex(16), blob, target(new="1"))
    await copy.seal()
    stub.arm(lost, target="rewriteTo")
    copied = await copy.publish(expect=blob.token)
    found = await storage.stat(copied.name)
    assert found is not None
    assert (found.token, found.metadata) == (copied.token, {"a": "b", "new": "1"})


async def test_copy_that_is_asked_again_says_what_is_missing(storage: GcpBackend, stub: Stub):
    blob = await put(storage)
    elsewhere = Target(bucket="bucket", key="copy")
    staged = await storage.stage_copy(secrets.token_hex(16), blob, elsewhere)
    await staged.seal()
    stub.arm(then(lambda: replace(stub), act=reset), target="rewriteTo")
    with pytest.raises(BlobMissing):
        await staged.publish(expect="")
    assert stored(stub) == [NAME]


async def test_delete_whose_answer_is_lost_is_done(storage: GcpBackend, stub: Stub):
    blob = await put(storage)
    stub.arm(lost, method="DELETE")
    await storage.delete(blob.name, token=blob.token)
    assert stored(stub) == []


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("act", [lost, reset, silent], ids=["lost", "reset", "silent"])
async def test_buffer_whose_answer_is_lost_is_not_sent_twice(
    storage: GcpBackend, stub: Stub, which: int, act: Act
):
    storage.section = replace_in(storage.section, deadline=3)
    staged = await stage(storage, LARGE[: which * MIB])
    await staged.finish()  # the buffers before are sent
    stub.arm(act, method="PUT")
    await staged.write(LARGE[which * MIB :])
    assert await read(storage, await staged.publish(expect="")) == LARGE
    chunks = [r for r in stub.seen if r.method == "PUT" and r.body]
    assert len(chunks) == (3 if act is lost else 4)
    assert stored(stub) == [NAME]


async def test_service_may_take_a_part_of_a_buffer(storage: GcpBackend, stub: Stub):
    stub.arm(shortened, times=2, method="PUT")
    assert await read(storage, await put(storage, LARGE)) == LARGE
    assert len([r for r in stub.seen if r.method == "PUT"]) == 5


async def test_service_that_takes_nothing_is_unavailable(storage: GcpBackend, stub: Stub):
    def nothing(request: Any) -> None:
        request.answer(308, {})

    stub.arm(nothing, times=99, method="PUT")
    staged = await stage(storage, LARGE[: MIB + 1])
    with pytest.raises(Unavailable):
        await staged.seal()
    await staged.discard()
    assert stored(stub) == []


@pytest.mark.parametrize("status", [404, 410, 503])
async def test_session_that_is_gone_fails_the_write_and_leaves_nothing(
    storage: GcpBackend, stub: Stub, status: int
):
    staged = await stage(storage, LARGE)
    await staged.finish()
    stub.arm(refused(status), times=999, method="PUT")
    with pytest.raises(StorageFault):
        await staged.publish(expect="")
    for _ in range(2):
        with pytest.raises(StorageFault):  # what has failed stays failed
            await staged.publish(expect="")
    await staged.discard()
    assert stored(stub) == []
    assert stub.service.sessions == {}


async def test_bytes_that_change_on_the_way_are_refused(storage: GcpBackend, stub: Stub):
    def change(request: Any) -> None:
        request.body = request.body.replace(b"small", b"smell")
        request.answer(*request.forward())

    stub.arm(change, method="POST")
    with pytest.raises(BackendFailed):
        await put(storage)
    assert stored(stub) == []

    def change_chunk(request: Any) -> None:
        request.body = b"!" + request.body[1:]
        request.answer(*request.forward())

    stub.arm(change_chunk, method="PUT")
    staged = await stage(storage, LARGE)
    with pytest.raises(StorageFault):
        await staged.seal()
    await staged.discard()
    assert stored(stub) == []


async def test_rewrite_may_take_many_calls(storage: GcpBackend, stub: Stub):
    stub.service.rewritten_at_once = MIB
    assert await read(storage, await put(storage, LARGE, expect="")) == LARGE
    assert len([r for r in stub.seen if "rewriteTo" in r.target]) == 3
    assert stored(stub) == [NAME]


# --- silence ------------------------------------------------------------------------------------------


@bodies
async def test_silent_service_is_unavailable_in_seconds_and_comes_back(
    storage: GcpBackend, stub: Stub, body: bytes
):
    blob = await put(storage)
    staged = await stage(storage, body)
    await staged.seal()
    stub.arm(silent, times=999)
    begun = time.monotonic()
    calls = [staged.publish(), storage.stat(blob.name), storage.open(blob)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    assert time.monotonic() - begun < 4
    stub.disarm()
    stub.released.set()
    await staged.discard()
    assert await read(storage, blob) == SMALL
    assert stored(stub) == [NAME]


async def test_service_that_is_not_there_is_unavailable(make: Callable[..., GcpBackend]):
    storage = make(endpoint="http://127.0.0.1:9", deadline=1)
    with pytest.raises(Unavailable):
        await storage.start(STORE, fresh=True)
    await storage.stop()


async def test_calls_that_find_no_thread_are_not_begun(
    storage: GcpBackend, stub: Stub, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bleepstore.native_calls.PATIENCE", 0.5)
    stub.arm(silent, times=4)
    blocked = [asyncio.create_task(storage.stat("bucket/key")) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="waiting"):
        await storage.stat("bucket/key")
    stub.released.set()
    await asyncio.gather(*blocked, return_exceptions=True)


async def test_stopped_backend_is_unavailable(storage: GcpBackend):
    staged = await stage(storage)
    await storage.stop()
    with pytest.raises(Unavailable):
        await staged.publish()
    await staged.discard()


# --- reads --------------------------------------------------------------------------------------------


@bodies
async def test_read_that_is_cut_off_is_gone_on_with(storage: GcpBackend, stub: Stub, body: bytes):
    blob = await put(storage, body)
    stub.arm(cut_off, method="GET", target="alt=media")
    assert await read(storage, blob) == body


@bodies
async def test_bytes_that_are_not_those_of_the_digest_are_damage(
    storage: GcpBackend, stub: Stub, body: bytes
):
    blob = await put(storage, body)
    stub.arm(spoilt, method="GET", target="alt=media")
    got = b""
    with pytest.raises(Damaged):
        got = await read(storage, blob)
    assert got == b""
    stub.arm(spoilt, method="GET", target="alt=media")
    with pytest.raises(Damaged):
        await storage.verify(blob)
    await storage.verify(blob)


async def test_row_of_another_size_is_damage(storage: GcpBackend):
    blob = await put(storage)
    longer = Blob(name=blob.name, size=blob.size + 1, token=blob.token)
    with pytest.raises(Damaged):
        await read(storage, longer)
    with pytest.raises(Damaged):
        await storage.open(longer, blob.size + 1)


@pytest.mark.parametrize("versioned", [False, True])
async def test_what_is_changed_behind_our_back_is_not_read(storage: GcpBackend, stub: Stub, versioned: bool):
    stub.service.versioned = versioned
    blob = await put(storage)
    stub.service.patch(BUCKET, NAME, {"metadata": {"new": "1"}}, {})
    for start in (0, len(SMALL)):
        with pytest.raises(TokenMismatch):
            await storage.open(blob, start)
    with pytest.raises(TokenMismatch):
        await storage.delete(blob.name, token=blob.token)
    with pytest.raises(TokenMismatch):
        await put(storage, expect=blob.token)
    found = await storage.stat(blob.name)
    assert found is not None
    assert (found.token.partition(".")[0], found.metadata) == (blob.token.partition(".")[0], {"new": "1"})
    changed = Blob(name=blob.name, size=blob.size, token=found.token)
    assert await read(storage, changed) == SMALL
    replace(stub)
    with pytest.raises(TokenMismatch):
        await storage.open(changed)
    stub.service.delete(BUCKET, NAME, {})
    with pytest.raises(BlobMissing):
        await storage.open(changed)
    stub.arm(refused(412, "conditionNotMet"), target="alt=media")  # absence may break the condition
    with pytest.raises(BlobMissing):
        await storage.open(changed)


@pytest.mark.parametrize("versioned", [False, True])
async def test_read_under_way_goes_on_where_versions_are_kept(
    storage: GcpBackend, stub: Stub, versioned: bool
):
    stub.service.versioned = versioned
    body = random_bytes(7 * MIB)
    blob = await put(storage, body)
    stub.arm(after(lambda: replace(stub)), target="&generation=")
    reader = await storage.open(blob)
    replace(stub)
    try:
        got = b"".join([piece async for piece in reader])
    except TokenMismatch:
        assert not versioned
    else:
        assert got == body
        assert versioned
    await reader.close()


# --- what is left over --------------------------------------------------------------------------------


async def test_private_objects_of_nobody_are_removed_after_a_day(storage: GcpBackend, stub: Stub):
    old, new = (f"some/where/.bleepstore/staging/{secrets.token_hex(16)}" for _ in range(2))
    for name in (old, new):
        replace(stub, name=name)
    stub.service.buckets[BUCKET][old].resource["timeCreated"] = "2020-01-01T00:00:00Z"
    assert list(await storage.abandoned()) == []
    assert stored(stub) == [new]


async def test_private_object_that_cannot_be_removed_fails_no_write(storage: GcpBackend, stub: Stub):
    stub.arm(refused(403, "forbidden"), method="DELETE")
    assert await read(storage, await put(storage, LARGE)) == LARGE
    assert len(stored(stub)) == 2


async def test_write_that_cannot_be_discarded_now_is_left_to_upkeep(storage: GcpBackend, stub: Stub):
    staged = await stage(storage, LARGE)
    await staged.seal()
    stub.arm(refused(503), times=999, method="DELETE")
    await staged.discard()
    assert len(stored(stub)) == 1
