"""Which service, with which credentials; whose store is in the bucket; and what others see there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google.auth
import pytest
from bleepstore.storage import BackendFailed, BlobMissing, StoreMismatch, Target, TokenMismatch
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_gcp import calls
from bleepstore_backend_gcp.backend import GcpBackend
from bleepstore_backend_gcp.plugin import GcpSettings
from faulty_http import after
from gcp import BUCKET, client
from gcp_stub import Stub
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError

pytestmark = pytest.mark.anyio


# --- whose store --------------------------------------------------------------------------------------


async def test_bucket_that_does_not_exist_is_told(make: Callable[..., GcpBackend]):
    storage = make(bucket="nobody-s")
    with pytest.raises(BackendFailed, match="bucket does not exist"):
        await storage.start(STORE, fresh=True)
    await storage.stop()


async def test_worker_that_is_second_takes_the_same_store(make: Callable[..., GcpBackend], stub: Stub):
    first, second = make(), make()
    await first.start(STORE, fresh=True)
    stub.service.delete(BUCKET, "some/where/.bleepstore/store", {})
    line = f"{STORE} 1\n".encode()
    written = after(lambda: stub.service.store(BUCKET, "some/where/.bleepstore/store", line, {}, {}))
    stub.arm(written, method="POST")
    await second.start(STORE, fresh=True)
    for storage in (first, second):
        await storage.stop()


async def test_nothing_is_asked_but_objects(make: Callable[..., GcpBackend], stub: Stub):
    """A role that may use objects may not look at the bucket, and a call of the SDK's own has no bounds."""
    storage = make()
    await storage.start(STORE, fresh=True)
    staged = await storage.stage("0" * 32, target=Target(bucket="bucket", key="key"))
    blob = await staged.publish(expect="")
    await storage.delete(blob.name, token=blob.token)
    assert [found async for found in storage.objects("bucket")] == []
    await storage.stop()
    assert all(f"/b/{BUCKET}/o" in request.target for request in stub.seen)
    assert [(request.method, request.query.get("alt")) for request in stub.seen] == [
        ("GET", "media"),
        ("POST", None),
        ("GET", "media"),
        ("POST", None),
        ("DELETE", None),
        ("GET", None),
    ]


async def test_two_stores_share_a_bucket(make: Callable[..., GcpBackend]):
    one, other = make(prefix="one"), make(prefix="other/")
    for storage, name in ((one, STORE), (other, "f" * 32)):
        await storage.start(name, fresh=True)
        staged = await storage.stage("0" * 32, target=Target(bucket=f"of-{name[:1]}", key="key"))
        await staged.publish(expect="")
    assert [name async for name in one.buckets()] == ["of-0"]
    assert [name async for name in other.buckets()] == ["of-f"]
    with pytest.raises(StoreMismatch):
        await make(prefix="one").start("f" * 32, fresh=False)
    for storage in (one, other):
        await storage.stop()


async def test_prefix_may_be_none(make: Callable[..., GcpBackend], stub: Stub):
    storage = make(prefix="")
    await storage.start(STORE, fresh=True)
    staged = await storage.stage("0" * 32, target=Target(bucket="bucket", key="key"))
    blob = await staged.publish(expect="")
    assert stub.service.names(BUCKET) == [".bleepstore/store", "bucket/key"]
    assert [name async for name in storage.buckets()] == ["bucket"]
    assert [found.name async for found in storage.objects("bucket")] == [blob.name]
    await storage.stop()


# --- which service, and who asks ------------------------------------------------------------------------


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Application Default Credentials are: the list's only item, none where it is empty."""
    found: list[Any] = []

    def default(scopes: Any = None) -> Any:
        assert scopes == [calls.SCOPE]
        if not found:
            raise DefaultCredentialsError("there are none")
        return found[0], "a-project"

    monkeypatch.setattr(google.auth, "default", default)
    return found


def endpoint_of(section: GcpSettings, **environ: str) -> tuple[str, Any]:
    bucket, session = calls.connect(section, environ)
    session.close()
    return bucket.client._connection.API_BASE_URL, session.credentials


def test_google_itself_is_asked_with_default_credentials(found: list[Any]):
    with pytest.raises(BackendFailed, match="there are none"):
        endpoint_of(GcpSettings(bucket=BUCKET))
    found.append(AnonymousCredentials())
    assert endpoint_of(GcpSettings(bucket=BUCKET)) == ("https://storage.googleapis.com", found[0])


def test_emulator_is_asked_by_nobody(found: list[Any]):
    found.append("a secret that is not to be sent in the clear")
    section = GcpSettings(bucket=BUCKET, endpoint="http://127.0.0.1:1/")
    for endpoint, credentials in (
        endpoint_of(section),
        endpoint_of(GcpSettings(bucket=BUCKET), STORAGE_EMULATOR_HOST="http://127.0.0.1:1"),
        endpoint_of(GcpSettings(bucket=BUCKET), STORAGE_EMULATOR_HOST="127.0.0.1:1"),
        endpoint_of(section, STORAGE_EMULATOR_HOST="127.0.0.1:2"),
    ):
        assert endpoint == "http://127.0.0.1:1"
        assert isinstance(credentials, AnonymousCredentials)


def test_private_endpoint_is_asked_with_credentials_where_there_are_some(found: list[Any]):
    section = GcpSettings(bucket=BUCKET, endpoint="https://storage-x.p.googleapis.com")
    endpoint, credentials = endpoint_of(section)
    assert endpoint == "https://storage-x.p.googleapis.com"
    assert isinstance(credentials, AnonymousCredentials)
    found.append(AnonymousCredentials())
    assert endpoint_of(section)[1] is found[0]


def test_credentials_that_are_no_credentials_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"type": "nonsense"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(BackendFailed, match="nonsense"):
        calls.connect(GcpSettings(bucket=BUCKET))


def test_project_is_the_client_s():
    section = GcpSettings(bucket=BUCKET, endpoint="http://127.0.0.1:1", project="mine")
    bucket, session = calls.connect(section)
    session.close()
    assert bucket.client.project == "mine"


# --- what others see -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1000, 9 * MIB])
async def test_object_is_as_it_was_given_to_google_s_own_sdk(
    make: Callable[..., GcpBackend], stub: Stub, emulator: str, size: int
):
    for endpoint in (stub.endpoint, emulator):
        storage = make(endpoint=endpoint, prefix=f"seen/{size}")
        await storage.start(STORE, fresh=True)
        headers = {"content-type": "image/png", "cache-control": "no-cache", "expires": "0"}
        target = Target(bucket="bucket", key="a/b c", headers=headers, metadata={"With-Dash": "é"})
        staged = await storage.stage("0" * 32, target=target)
        data = random_bytes(size)
        if size:
            await staged.write(data)
        blob = await staged.publish(expect="")
        await staged.settle()
        item = client(endpoint).bucket(BUCKET).get_blob(f"seen/{size}/bucket/a/b c")
        assert (item.content_type, item.cache_control) == ("image/png", "no-cache")
        assert item.metadata == {"With-Dash": "é"}
        assert item.download_as_bytes() == data
        item.delete()
        with pytest.raises(BlobMissing):
            await storage.open(blob)
        client(endpoint).bucket(BUCKET).blob(f"seen/{size}/.bleepstore/store").delete()
        await storage.stop()


async def test_object_of_another_is_read_as_it_is(make: Callable[..., GcpBackend], stub: Stub):
    storage = make()
    await storage.start(STORE, fresh=True)
    item = client(stub.endpoint).bucket(BUCKET).blob("some/where/bucket/theirs")
    item.metadata = {"their": "own"}
    item.upload_from_string(b"their bytes", content_type="text/theirs")
    (found,) = [one async for one in storage.objects("bucket")]
    assert found == await storage.stat("bucket/theirs")
    assert (found.headers, found.metadata) == ({"content-type": "text/theirs"}, {"their": "own"})
    assert found.etag == "7399814bc75de0a4f2f29ca86e958615"
    await storage.stop()


async def test_names_that_no_key_has_are_passed_by(make: Callable[..., GcpBackend], stub: Stub):
    storage = make()
    await storage.start(STORE, fresh=True)
    for name in ("bucket/.", "bucket/", "bucket/a/../b", "on top", "bucket/a"):
        stub.service.store(BUCKET, f"some/where/{name}", b"x", {}, {})
    assert [found.key async for found in storage.objects("bucket")] == ["a"]
    await storage.stop()


async def test_what_is_replaced_behind_our_back_is_told_even_where_conditions_are_ignored(
    make: Callable[..., GcpBackend], emulator: str
):
    storage = make(endpoint=emulator, prefix="replaced")
    await storage.start(STORE, fresh=True)
    staged = await storage.stage("0" * 32, target=Target(bucket="bucket", key="key"))
    await staged.write(b"x" * 1000)
    blob = await staged.publish(expect="")
    client(emulator).bucket(BUCKET).blob("replaced/bucket/key").upload_from_string(b"shorter")
    for start in (0, 100, 1000):
        with pytest.raises(TokenMismatch):
            await storage.open(blob, start)
    await storage.stop()
