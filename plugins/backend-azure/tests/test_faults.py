"""A service in trouble: errors, silence, resets, answers that are lost after success."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from azure_faults import faulty, refused
from bleepstore.storage import (
    BackendFailed,
    Blob,
    BlobMissing,
    Damaged,
    StorageFault,
    StoreMismatch,
    Target,
    TokenMismatch,
    Unavailable,
    Unsupported,
)
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_azure.backend import AzureBackend
from bleepstore_backend_azure.plugin import AzureSettings
from faulty_http import Faults, after, cut_off, lost, reset, said, silent
from native_writes import read, staged

pytestmark = pytest.mark.anyio

SMALL = b"a small body"
LARGE = random_bytes(2 * MIB + 1)
"""Three blocks."""
bodies = pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])


@pytest.fixture
def faults(emulator: str) -> Iterator[Faults]:
    """What stands between the backend and the emulator."""
    with faulty(emulator) as faults:
        yield faults


@pytest.fixture
async def storage(
    make: Callable[..., AzureBackend], faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AzureBackend]:
    """A backend that gives up soon, hardly pauses, and has blocks of 1 MiB."""
    monkeypatch.setattr("azure.storage.blob.ExponentialRetry.get_backoff_time", lambda *_: 0.01)
    storage = make(endpoint=faults.endpoint, block_mib=1, timeout=1, attempts=2, threads=4)
    await storage.start(STORE, fresh=True)
    yield storage
    faults.released.set()
    await storage.stop()


async def stage(storage: AzureBackend, body: bytes = SMALL) -> Any:
    target = Target(bucket="bucket", key="key", headers={"content-type": "text/plain"}, metadata={"a": "b"})
    return await staged(storage, body, target)


async def put(storage: AzureBackend, body: bytes = SMALL, expect: str | None = None) -> Blob:
    blob: Blob = await (await stage(storage, body)).publish(expect=expect)
    return blob


ERRORS = [
    (400, "InvalidBlockList", BlobMissing),
    (400, "InvalidMetadata", Unsupported),
    (400, "OutOfRangeInput", Unsupported),
    (400, "InvalidHeaderValue", BackendFailed),
    (401, "NoAuthenticationInformation", BackendFailed),
    (403, "AuthorizationFailure", BackendFailed),
    (404, "BlobNotFound", BlobMissing),
    (404, "ContainerNotFound", BackendFailed),
    (409, "BlobArchived", Unavailable),
    (409, "PendingCopyOperation", Unavailable),
    (409, "SnapshotsPresent", BackendFailed),
    (412, "ConditionNotMet", TokenMismatch),
    (412, "LeaseIdMissing", BackendFailed),
    (413, "RequestBodyTooLarge", Unsupported),
    (416, "InvalidRange", Damaged),
    (429, "", Unavailable),
    (500, "InternalError", Unavailable),
    (501, "APINotImplemented", Unsupported),
    (502, "", Unavailable),
    (503, "ServerBusy", Unavailable),
    (507, "", StorageFault),
]


@pytest.mark.parametrize(("status", "code", "fault"), ERRORS)
async def test_error_is_its_fault(
    storage: AzureBackend, faults: Faults, status: int, code: str, fault: type[StorageFault]
):
    blob = await put(storage)
    faults.arm(refused(status, code), times=2, method="GET")
    with pytest.raises(fault):
        await storage.open(blob)
    faults.disarm()
    staged = await stage(storage, b"refused")
    faults.arm(refused(status, code), times=2, method="PUT")
    with pytest.raises(fault):
        await staged.publish()
    faults.disarm()
    await staged.discard()
    assert await read(storage, blob) == SMALL


@bodies
async def test_service_that_is_busy_once_is_asked_again(storage: AzureBackend, faults: Faults, body: bytes):
    faults.arm(refused(503, "ServerBusy"), method="PUT")
    blob = await put(storage, body, expect="")
    faults.arm(refused(500, "InternalError"), method="GET")
    assert await read(storage, blob) == body
    faults.arm(reset, method="DELETE")
    await storage.delete(blob.name, token=blob.token)


@bodies
@pytest.mark.parametrize("step", ["comp=block&", "comp=blocklist", "the last one"])
async def test_answer_that_is_lost_after_success_is_no_failure(
    storage: AzureBackend, faults: Faults, body: bytes, step: str
):
    """A second attempt breaks the condition that the first has used up."""
    expect = ""
    for n in range(2):
        staged = await stage(storage, body + bytes([n]))
        if step != "the last one":
            faults.arm(lost, method="PUT", target=step)
        await staged.seal()
        if step == "the last one":
            faults.arm(lost, method="PUT")
        blob = await staged.publish(expect=expect)
        assert await read(storage, blob) == body + bytes([n])
        expect = blob.token
    assert not list(
        storage.container.list_blobs("some/where/.bleepstore/staging", include=["uncommittedblobs"])
    )


@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {"content-type": "text/html"}])
async def test_lost_answer_to_a_copy_is_no_failure(
    storage: AzureBackend, faults: Faults, headers: dict[str, str]
):
    source = await put(storage)
    target = Target(bucket="bucket", key="copy", headers=headers, metadata={"c": "d"})
    staged = await storage.stage_copy(secrets.token_hex(16), source, target)
    await staged.seal()
    faults.arm(lost, header="x-ms-copy-source")
    blob = await staged.publish(expect="")
    assert await read(storage, blob) == SMALL


async def test_lost_answer_to_a_delete_is_no_failure(storage: AzureBackend, faults: Faults):
    blob = await put(storage)
    faults.arm(lost, method="DELETE")
    await storage.delete(blob.name, token=blob.token)
    assert await storage.stat(blob.name) is None


@bodies
async def test_success_of_another_is_not_taken_for_ones_own(
    storage: AzureBackend, faults: Faults, container: ContainerClient, body: bytes
):
    """Tried again, and refused by what somebody else has written meanwhile."""
    staged = await stage(storage, body)
    await staged.seal()
    theirs = b"theirs".ljust(len(body))
    upload = container.get_blob_client("some/where/bucket/key").upload_blob

    def cut(request: Any) -> None:
        upload(theirs)
        reset(request)

    faults.arm(cut, method="PUT")
    with pytest.raises(TokenMismatch):
        await staged.publish(expect="")
    await staged.discard()
    found = await storage.stat("bucket/key")
    assert found is not None
    assert found.etag == hashlib.md5(theirs).hexdigest()


@bodies
async def test_equal_bytes_that_were_there_before_are_no_success(storage: AzureBackend, body: bytes):
    await put(storage, body)
    for expect in ("", "0x0"):
        with pytest.raises(TokenMismatch):
            await put(storage, body, expect=expect)


async def test_service_that_is_silent_or_gone_is_unavailable_within_seconds_and_comes_back(
    storage: AzureBackend, faults: Faults, make: Callable[..., AzureBackend]
):
    blob = await put(storage)
    faults.arm(silent, times=8)
    begun = time.monotonic()
    calls = storage.open(blob), storage.stat(blob.name), put(storage), storage.delete(blob.name, token="0")
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, Unavailable)
    assert time.monotonic() - begun < 8
    assert await read(storage, blob) == SMALL
    nobody = make(endpoint="http://127.0.0.1:9/devstoreaccount1", attempts=2)
    with pytest.raises(Unavailable):
        await nobody.start(STORE, fresh=True)
    await nobody.stop()


async def test_calls_that_find_no_thread_in_time_are_not_begun(
    storage: AzureBackend, faults: Faults, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bleepstore.native_calls.PATIENCE", 0.2)
    blob = await put(storage)
    faults.arm(silent, times=8)
    asked = len(faults.seen)
    found = await asyncio.gather(*(storage.stat(blob.name) for _ in range(40)), return_exceptions=True)
    assert {type(one) for one in found} == {Unavailable}
    assert len(faults.seen) - asked == 8


async def test_body_that_is_cut_off_is_read_again(storage: AzureBackend, faults: Faults):
    blob = await put(storage, LARGE)
    faults.arm(cut_off, method="GET")
    assert await read(storage, blob) == LARGE


async def test_object_that_is_replaced_while_it_is_read_is_not_mixed(storage: AzureBackend, faults: Faults):
    body = random_bytes(12 * MIB)
    blob = await put(storage, body)
    reader = await storage.open(blob)
    pieces = aiter(reader)
    got = await anext(pieces)
    await put(storage, body[::-1])
    with pytest.raises(TokenMismatch):  # noqa: PT012 - in whichever piece it is noticed
        while piece := await anext(pieces):
            got += piece
    await reader.close()
    assert body.startswith(got)
    assert len(got) < len(body)


async def test_object_of_another_size_than_its_row_says_is_damaged(storage: AzureBackend):
    blob = await put(storage)
    for size in (0, len(SMALL) + 1, 10 * MIB):
        with pytest.raises(Damaged):
            await read(storage, Blob(name=blob.name, size=size, token=blob.token))


async def test_object_that_is_not_what_its_digest_says_is_damaged(
    storage: AzureBackend, container: ContainerClient
):
    blob = await put(storage)
    await storage.verify(blob)
    client = container.get_blob_client("some/where/bucket/key")
    settings = client.get_blob_properties().content_settings
    settings.content_md5 = bytearray(16)
    client.set_http_headers(settings)
    found = await storage.stat(blob.name)
    assert found is not None
    with pytest.raises(Damaged):
        await storage.verify(Blob(name=blob.name, size=found.size, token=found.token))


async def test_copy_that_the_service_does_later_is_waited_for(storage: AzureBackend, faults: Faults):
    staged = await stage(storage, LARGE)
    await staged.seal()
    faults.arm(said(x_ms_copy_status="pending"), header="x-ms-copy-source")
    faults.arm(said(x_ms_copy_status="pending"), method="HEAD", times=2)
    blob = await staged.publish(expect="")
    assert await read(storage, blob) == LARGE


async def test_copy_that_the_service_fails_to_do_later_is_a_failure(storage: AzureBackend, faults: Faults):
    staged = await stage(storage, LARGE)
    await staged.seal()
    faults.arm(said(x_ms_copy_status="pending"), header="x-ms-copy-source")
    faults.arm(said(x_ms_copy_status="failed"), method="HEAD")
    with pytest.raises(BackendFailed):
        await staged.publish(expect="")
    await staged.discard()


async def test_source_that_changes_before_the_copy_is_missing(storage: AzureBackend):
    for headers in ({"content-type": "text/plain"}, {"content-type": "text/html"}):
        source = await put(storage)
        target = Target(bucket="bucket", key="copy", headers=headers, metadata={"c": "d"})
        staged = await storage.stage_copy(secrets.token_hex(16), source, target)
        await staged.seal()
        await put(storage, b"another")
        with pytest.raises(BlobMissing):
            await staged.publish(expect="")
        await staged.discard()
        assert await storage.stat("bucket/copy") is None


async def test_object_that_is_removed_between_question_and_answer_is_missing(
    storage: AzureBackend, faults: Faults, container: ContainerClient
):
    blob = await put(storage)
    faults.arm(after(container.get_blob_client("some/where/bucket/key").delete_blob), method="GET")
    with pytest.raises(BlobMissing):
        await storage.open(blob)


async def test_discard_that_finds_no_service_raises_nothing(storage: AzureBackend, faults: Faults):
    staged = await stage(storage, LARGE)
    await staged.seal()
    faults.arm(refused(503, "ServerBusy"), times=2, method="DELETE")
    await staged.discard()
    assert await storage.stat("bucket/key") is None


async def test_container_that_does_not_exist_is_said_so(make: Callable[..., AzureBackend]):
    storage = make(container="no-such-container")
    with pytest.raises(BackendFailed, match="ContainerNotFound"):
        await storage.start(STORE, fresh=True)
    await storage.stop()


async def test_store_is_told_from_another_by_its_prefix(make: Callable[..., AzureBackend]):
    for prefix, store in (("", "a" * 32), ("x/y", "b" * 32), ("x", "c" * 32)):
        storage = make(prefix=prefix)
        await storage.start(store, fresh=True)
        await storage.stop()
    again = make(prefix="x/")
    with pytest.raises(StoreMismatch):
        await again.start("b" * 32, fresh=False)
    await again.stop()


def test_settings_need_a_container():
    with pytest.raises(TypeError):
        AzureSettings()
