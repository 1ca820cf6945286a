"""A service in trouble: errors, silence, resets, answers that are lost or wrong."""

import asyncio
import base64
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from aws import Endpoint
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
from bleepstore_backend_aws.backend import AwsBackend
from faulty_http import Faults, after, cut_off, faulty, lost, passed_on, refused, reset, said, silent, stalled
from native_writes import staged

pytestmark = pytest.mark.anyio

SMALL = b"a small body"
LARGE = random_bytes(10 * MIB + 1)
"""Two parts."""
bodies = pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
ATTEMPTS = 2

Read = Callable[..., Awaitable[bytes]]


@pytest.fixture
def faults(endpoint: Endpoint) -> Iterator[Faults]:
    """What stands between the backend and upstream, which is BleepStore here."""
    with faulty(endpoint.url) as faults:
        yield faults


@pytest.fixture
async def storage(
    make: Callable[..., AwsBackend], faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AwsBackend]:
    """A backend that gives up soon, and hardly pauses."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    storage = make(endpoint_url=faults.endpoint, timeout=1, attempts=ATTEMPTS, threads=4)
    await storage.start(STORE, fresh=True)
    faults.seen.clear()
    yield storage
    faults.disarm()
    faults.released.set()
    await storage.stop()


async def stage(storage: AwsBackend, body: bytes = SMALL, key: str = "key") -> Any:
    target = Target(bucket="bucket", key=key, headers={"content-type": "text/plain"}, metadata={"a": "b"})
    return await staged(storage, body, target)


async def put(storage: AwsBackend, body: bytes = SMALL, expect: str | None = None, key: str = "key") -> Blob:
    staged = await stage(storage, body, key)
    blob: Blob = await staged.publish(expect=expect)
    await staged.settle()
    return blob


ERRORS = [
    (400, "InvalidArgument", BackendFailed),
    (400, "KeyTooLongError", Unsupported),
    (400, "MetadataTooLarge", Unsupported),
    (400, "BadDigest", Unavailable),
    (400, "RequestTimeout", Unavailable),
    (403, "AccessDenied", BackendFailed),
    (403, "SignatureDoesNotMatch", BackendFailed),
    (403, "InvalidObjectState", Unavailable),
    (403, "QuotaExceeded", OutOfSpace),
    (404, "NoSuchBucket", BackendFailed),
    (404, "NoSuchKey", BlobMissing),
    (409, "OperationAborted", Unavailable),
    (412, "PreconditionFailed", TokenMismatch),
    (413, "", Unsupported),
    (416, "InvalidRange", TokenMismatch),
    (429, "TooManyRequests", Unavailable),
    (429, "", Unavailable),
    (500, "InternalError", Unavailable),
    (501, "NotImplemented", Unsupported),
    (502, "", Unavailable),
    (503, "SlowDown", Unavailable),
    (503, "", Unavailable),
    (504, "", Unavailable),
    (507, "", OutOfSpace),
]


@pytest.mark.parametrize(("status", "code", "fault"), ERRORS)
async def test_an_error_is_its_fault(
    storage: AwsBackend, faults: Faults, read: Read, status: int, code: str, fault: type[StorageFault]
) -> None:
    blob = await put(storage)
    faults.arm(refused(status, code), times=ATTEMPTS, method="GET")
    with pytest.raises(fault):
        await storage.open(blob)
    faults.disarm()
    staged = await stage(storage, b"refused")
    faults.arm(refused(status, code), times=ATTEMPTS, method="PUT")
    with pytest.raises(fault):
        await staged.publish()
    faults.disarm()
    await staged.discard()
    assert await read(blob) == SMALL


@bodies
async def test_a_service_that_is_busy_once_is_asked_again(
    storage: AwsBackend, faults: Faults, read: Read, body: bytes
) -> None:
    faults.arm(refused(503, "SlowDown"), method="PUT")
    faults.arm(refused(503, "SlowDown"), method="POST")
    blob = await put(storage, body, expect="")
    faults.arm(refused(500, "InternalError"), method="GET")
    assert await read(blob) == body
    faults.arm(reset, method="DELETE")
    await storage.delete(blob.name, token=blob.token)


# --- answers that are lost --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "step"),
    [
        (SMALL, {"method": "PUT"}),
        (LARGE, {"method": "POST", "target": "?uploads"}),
        (LARGE, {"method": "PUT", "target": ".bleepstore/writes"}),
        (LARGE, {"method": "PUT", "target": "partNumber=1"}),
        (LARGE, {"method": "POST", "target": "?uploadId="}),
    ],
    ids=["PutObject", "CreateMultipartUpload", "note", "UploadPart", "CompleteMultipartUpload"],
)
async def test_an_answer_that_is_lost_after_success_is_no_failure(
    storage: AwsBackend, faults: Faults, read: Read, body: bytes, step: dict[str, str]
) -> None:
    """A second attempt breaks the condition that the first has used up."""
    expect: str | None = ""
    for n in range(2):
        faults.arm(lost, **step)
        blob = await put(storage, body + bytes([n]), expect=expect)
        assert await read(blob) == body + bytes([n])
        expect = blob.token
    assert not [fault for fault in faults._armed if fault[1][0]]


async def test_a_write_that_another_has_overtaken_is_not_taken_for_our_own(
    storage: AwsBackend, faults: Faults
) -> None:
    """The first attempt is refused by chance, the second by right."""
    staged = await stage(storage, b"late")
    faults.arm(refused(500, "InternalError"), method="PUT")
    faults.arm(
        after(lambda: _put_beside(faults, storage, staged.blob_name)), method="PUT", header="if-none-match"
    )
    with pytest.raises(TokenMismatch):
        await staged.publish(expect="")


def _put_beside(faults: Faults, storage: AwsBackend, name: str, body: bytes = b"another's") -> None:
    """As another client of upstream."""
    Endpoint(f"http://{faults.upstream}", 0).client().put_object(**storage.upstream.at(name), Body=body)


async def test_a_delete_whose_answer_is_lost_has_deleted(storage: AwsBackend, faults: Faults) -> None:
    blob = await put(storage)
    faults.arm(lost, method="DELETE")
    await storage.delete(blob.name, token=blob.token)
    assert await storage.stat(blob.name) is None


async def test_a_conflict_of_two_writes_is_asked_about_again(
    storage: AwsBackend, faults: Faults, read: Read
) -> None:
    faults.arm(refused(409, "ConditionalRequestConflict"), times=2, method="PUT")
    assert await read(await put(storage, expect="")) == SMALL
    faults.arm(refused(409, "ConditionalRequestConflict"), times=10, method="PUT")
    with pytest.raises(Unavailable):
        await put(storage, b"new")


async def test_an_error_in_an_answer_of_success_is_an_error(
    storage: AwsBackend, faults: Faults, read: Read
) -> None:
    """CompleteMultipartUpload and CopyObject say 200 before they know."""
    error = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>late</Message></Error>"
    staged = await stage(storage, LARGE)
    await staged.seal()
    faults.arm(lambda request: request.answer(200, {}, error), times=ATTEMPTS, method="POST")
    with pytest.raises(Unavailable):
        await staged.publish(expect="")
    await staged.discard()
    assert await storage.stat("bucket/key") is None
    source = await put(storage, key="source")
    copy = await storage.stage_copy("c" * 32, source, Target(bucket="bucket", key="copy"))
    await copy.seal()
    faults.arm(lambda request: request.answer(200, {}, error), method="PUT")
    assert await read(await copy.publish(expect="")) == SMALL


# --- no answers -------------------------------------------------------------------------------------


async def test_a_silent_service_is_unavailable_within_seconds_and_recovers(
    storage: AwsBackend, faults: Faults, read: Read
) -> None:
    blob = await put(storage)
    faults.arm(silent, times=1000)
    before = time.monotonic()
    calls = (
        storage.stat(blob.name),
        storage.open(blob),
        storage.delete(blob.name, token=blob.token),
        put(storage, b"new"),
    )
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, Unavailable)
    assert time.monotonic() - before < 10
    faults.disarm()
    faults.released.set()
    assert await read(blob) == SMALL


async def test_a_dead_service_is_unavailable_at_once_and_a_start_says_so(
    make: Callable[..., AwsBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    storage = make(endpoint_url=f"http://127.0.0.1:{port}")
    before = time.monotonic()
    with pytest.raises(Unavailable):
        await storage.start(STORE, fresh=True)
    assert time.monotonic() - before < 10
    await storage.stop()


async def test_a_call_that_finds_no_thread_is_not_begun(
    storage: AwsBackend, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bleepstore.native_calls.PATIENCE", -1.0)
    faults.seen.clear()
    with pytest.raises(Unavailable):
        await storage.stat("bucket/key")
    assert faults.seen == []


# --- reads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [cut_off, stalled])
async def test_a_read_whose_connection_breaks_goes_on_at_the_same_token(
    storage: AwsBackend, faults: Faults, read: Read, broken: Any
) -> None:
    blob = await put(storage, LARGE)
    faults.arm(broken, times=2, method="GET")
    assert await read(blob) == LARGE
    faults.arm(broken, times=2, method="GET")
    assert await read(blob, 100, 5 * MIB) == LARGE[100 : 5 * MIB + 100]
    ranges = [request.headers.get("range") for request in faults.seen if request.method == "GET"]
    assert len(ranges) == 6
    assert {request.headers["if-match"] for request in faults.seen if request.method == "GET"} == {
        f'"{blob.token}"'
    }


async def test_a_read_is_never_continued_in_another_state(
    storage: AwsBackend, faults: Faults, read: Read
) -> None:
    blob = await put(storage, LARGE)
    faults.arm(cut_off, method="GET")
    faults.arm(after(lambda: _put_beside(faults, storage, blob.name)), method="GET")
    with pytest.raises(TokenMismatch):
        await read(blob)


async def test_another_etag_in_the_answer_is_another_state(
    storage: AwsBackend, faults: Faults, read: Read
) -> None:
    """As of a service that ignores If-Match."""
    blob = await put(storage)
    faults.arm(said(etag='"0"'), method="GET")
    with pytest.raises(TokenMismatch):
        await storage.open(blob)
    faults.arm(said(etag='"0"'), method="HEAD")
    with pytest.raises(TokenMismatch):
        await storage.open(blob, 5, 0)
    assert await read(blob) == SMALL


async def test_bytes_that_are_not_those_of_the_etag_are_damage(
    storage: AwsBackend, faults: Faults, read: Read
) -> None:
    blob = await put(storage, random_bytes(3 * MIB))
    faults.arm(said(lambda body: body[:-1] + b"\0"), method="GET")
    with pytest.raises(Damaged):
        await read(blob)
    faults.arm(said(lambda body: body[:-1]), method="GET")
    with pytest.raises(Damaged):
        await read(blob)
    assert await read(blob) == random_bytes(3 * MIB)


# --- writes -----------------------------------------------------------------------------------------


@bodies
async def test_every_body_is_sent_with_its_digest(storage: AwsBackend, faults: Faults, body: bytes) -> None:
    await put(storage, body)
    sent = [r for r in faults.seen if r.method == "PUT" and "writes" not in r.target]
    assert sum(len(request.body) for request in sent) == len(body)
    for request in sent:
        digest = base64.b64encode(hashlib.md5(request.body).digest()).decode()
        assert request.headers["content-md5"] == digest
        assert "expect" not in request.headers


async def test_bytes_that_are_stored_wrong_are_removed_and_an_etag_that_tells_nothing_is_borne(
    storage: AwsBackend, faults: Faults, read: Read
) -> None:
    other = hashlib.md5(b"other bytes").hexdigest()

    def store_other(request: Any) -> None:
        _put_beside(faults, storage, "bucket/key", b"other bytes")
        request.answer(200, {"etag": f'"{other}"'})

    faults.arm(store_other, method="PUT")
    with pytest.raises(BackendFailed):
        await put(storage, expect="")
    assert await storage.stat("bucket/key") is None

    faults.arm(said(etag=f'"{other}"'), method="PUT")
    faults.arm(said(etag=f'"{other}"'), method="GET")
    assert (await put(storage)).token == other
    faults.arm(said(etag=f'"{other}"', x_amz_server_side_encryption="aws:kms"), method="PUT")
    assert (await put(storage)).token == other


async def test_a_part_that_is_stored_wrong_fails_the_write(
    storage: AwsBackend, faults: Faults, uploads: Callable[[], list[str]]
) -> None:
    staged = await stage(storage, LARGE)
    faults.arm(said(etag='"0"'), method="PUT", target="partNumber=2")
    with pytest.raises(BackendFailed):
        await staged.publish(expect="")
    await staged.discard()
    assert uploads() == []
    assert await storage.stat("bucket/key") is None


async def test_a_failed_part_fails_the_next_piece_and_leaves_nothing(
    storage: AwsBackend, faults: Faults, uploads: Callable[[], list[str]]
) -> None:
    staged = await stage(storage, b"")
    faults.arm(refused(403, "AccessDenied"), times=100, target="partNumber")

    async def many() -> None:
        for _ in range(100):
            await staged.write(LARGE)

    with pytest.raises(BackendFailed):
        await many()
    assert len(faults.seen) < 10
    await staged.discard()
    assert uploads() == []


async def test_what_cannot_be_removed_now_is_left_to_upkeep(
    storage: AwsBackend, faults: Faults, uploads: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = await stage(storage, LARGE)
    faults.arm(refused(503, "SlowDown"), times=ATTEMPTS, method="DELETE")
    await staged.discard()
    assert len(uploads()) == 2
    monkeypatch.setattr("bleepstore_backend_aws.uploading.LEASE_SECONDS", -10.0)
    await storage.abandoned()
    assert uploads() == []


async def test_stat_of_an_object_encrypted_by_kms_has_no_etag(storage: AwsBackend, faults: Faults) -> None:
    blob = await put(storage)
    faults.arm(said(x_amz_server_side_encryption="aws:kms"), method="HEAD")
    found = await storage.stat(blob.name)
    assert found is not None
    assert found.etag is None
    assert found.fingerprint != blob.token
    faults.arm(passed_on, method="HEAD")
