"""What a bucket must be before it is used."""

import json
from collections.abc import Callable, Iterator

import pytest
from aws import BUCKET, Endpoint
from bleepstore.storage import BackendFailed, StoreMismatch, Target
from bleepstore.testing.storage import STORE
from bleepstore_backend_aws import uploading
from bleepstore_backend_aws.backend import AwsBackend
from faulty_http import Faults, Request, faulty, refused

pytestmark = pytest.mark.anyio


@pytest.fixture
def faults(endpoint: Endpoint) -> Iterator[Faults]:
    with faulty(endpoint.url) as faults:
        yield faults


@pytest.fixture
def stored(endpoint: Endpoint, prefix: str) -> Callable[[], dict[str, object]]:
    """What is noted beside the store's id."""

    def stored() -> dict[str, object]:
        answer = endpoint.client().get_object(Bucket=BUCKET, Key=f"{prefix}/.bleepstore/store")
        noted: dict[str, object] = json.loads(answer["Body"].read())
        return noted

    return stored


async def test_what_upstream_honours_is_tried_once_and_noted(
    make: Callable[..., AwsBackend], faults: Faults, stored: Callable[[], dict[str, object]]
) -> None:
    for fresh in (True, False):
        faults.seen.clear()
        storage = make(endpoint_url=faults.endpoint)
        await storage.start(STORE, fresh=fresh)
        await storage.stop()
        assert any("/probes/" in request.target for request in faults.seen) is fresh
    honoured = {"put": True, "complete": True, "copy": True, "delete": True, "etags": True, "folders": True}
    assert stored() == {"store": STORE, "version": 1, "honoured": honoured}


def ignored(request: Request) -> None:
    """Answered as by an upstream that does not know the precondition."""
    result = {"POST": b"<CompleteMultipartUploadResult/>", "PUT": b""}.get(request.method, b"")
    if "x-amz-copy-source" in request.headers:
        result = b"<CopyObjectResult/>"
    request.answer(200, {"etag": '"0"'}, result)


PROBED = [
    ("PutObject", {"method": "PUT", "header": "if-match"}),
    ("PutObject", {"method": "PUT", "header": "if-none-match"}),
    ("CompleteMultipartUpload", {"method": "POST", "header": "if-match"}),
    ("CompleteMultipartUpload", {"method": "POST", "header": "if-none-match"}),
    ("DeleteObject", {"method": "DELETE", "header": "if-match"}),
]


@pytest.mark.parametrize(("operation", "like"), PROBED)
@pytest.mark.parametrize("how", ["ignored", "not built"])
async def test_an_upstream_without_a_precondition_is_refused_by_name(
    make: Callable[..., AwsBackend],
    faults: Faults,
    prefix: str,
    operation: str,
    like: dict[str, str],
    how: str,
) -> None:
    act = ignored if how == "ignored" else refused(501, "NotImplemented")
    faults.arm(act, times=2, target="probes", **like)
    storage = make(endpoint_url=faults.endpoint)
    with pytest.raises(BackendFailed, match=f"preconditions of {operation}:"):
        await storage.start(STORE, fresh=True)
    await storage.stop()


async def test_upkeep_removes_what_a_process_tried_that_died_over_it(
    make: Callable[..., AwsBackend], endpoint: Endpoint, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, begin = endpoint.client(), {"Bucket": BUCKET, "Prefix": f"{prefix}/.bleepstore/probes/"}
    place = {"Bucket": BUCKET, "Key": f"{prefix}/.bleepstore/probes/tried"}
    client.put_object(**place, Body=b"abc")
    client.create_multipart_upload(**place)
    storage = make()
    await storage.start(STORE, fresh=True)
    await storage.abandoned()
    assert client.list_objects_v2(**begin)["KeyCount"] == 1  # it is young, and may be in use
    monkeypatch.setattr(uploading, "LEASE_SECONDS", -10.0)
    await storage.abandoned()
    assert client.list_objects_v2(**begin)["KeyCount"] == 0
    assert "Uploads" not in client.list_multipart_uploads(**begin)
    await storage.stop()


async def test_a_single_writer_may_do_without(
    make: Callable[..., AwsBackend], faults: Faults, stored: Callable[[], dict[str, object]]
) -> None:
    for header in ("if-match", "if-none-match", "x-amz-copy-source-if-match"):
        faults.arm(ignored, times=100, target="probes", header=header)
    storage = make(endpoint_url=faults.endpoint, conditions="single_writer")
    await storage.start(STORE, fresh=True)
    await storage.stop()
    honoured = {
        "put": False,
        "complete": False,
        "copy": False,
        "delete": False,
        "etags": True,
        "folders": True,
    }
    assert stored()["honoured"] == honoured
    again = make(endpoint_url=faults.endpoint)
    with pytest.raises(BackendFailed, match="PutObject, CompleteMultipartUpload, DeleteObject"):
        await again.start(STORE, fresh=False)
    await again.stop()


@pytest.mark.parametrize(
    ("more", "says"),
    [({"bucket": "nobody-made-this"}, "NoSuchBucket"), ({"profile": "nobody"}, "profile")],
)
async def test_a_start_that_cannot_be_says_why(
    make: Callable[..., AwsBackend], more: dict[str, str], says: str
) -> None:
    storage = make(**more)
    with pytest.raises(BackendFailed, match=says):
        await storage.start(STORE, fresh=True)
    await storage.stop()


async def test_credentials_come_from_the_chain_and_their_absence_is_said(
    make: Callable[..., AwsBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage = make()
    with pytest.raises(BackendFailed, match="SignatureDoesNotMatch"):
        await storage.start(STORE, fresh=True)
    await storage.stop()
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    storage = make()
    with pytest.raises(BackendFailed, match="credentials"):
        await storage.start(STORE, fresh=True)
    await storage.stop()


@pytest.mark.parametrize("content", [b"no json", b'{"store": "another"}'])
async def test_what_is_not_our_store_is_left_alone(
    make: Callable[..., AwsBackend], endpoint: Endpoint, prefix: str, content: bytes
) -> None:
    place = {"Bucket": BUCKET, "Key": f"{prefix}/.bleepstore/store"}
    endpoint.client().put_object(**place, Body=content)
    storage = make()
    with pytest.raises(StoreMismatch):
        await storage.start(STORE, fresh=True)
    await storage.stop()
    assert endpoint.client().get_object(**place)["Body"].read() == content


async def test_objects_that_are_there_already_wait_for_import(
    make: Callable[..., AwsBackend], endpoint: Endpoint, prefix: str
) -> None:
    endpoint.client().put_object(
        Bucket=BUCKET, Key=f"{prefix}/bucket/key", Body=b"there", Metadata={"a": "b"}
    )
    storage = make()
    await storage.start(STORE, fresh=True)
    found = await storage.stat(storage.name_of("bucket", "key"))
    assert found is not None
    assert (found.size, found.metadata) == (5, {"a": "b"})
    await storage.stop()


async def test_two_prefixes_of_a_bucket_are_two_stores(make: Callable[..., AwsBackend], prefix: str) -> None:
    stores = [make(prefix=f"{prefix}/{name}/") for name in "ab"]
    for n, storage in enumerate(stores):
        await storage.start(str(n) * 32, fresh=True)
        staged = await storage.stage("f" * 32, target=Target(bucket="bucket", key="key"))
        await staged.write(bytes([n]) * (n + 1))
        await staged.publish(expect="")
    for n, storage in enumerate(stores):
        assert [(o.key, o.size) async for o in storage.objects("bucket")] == [("key", n + 1)]
        await storage.stop()
