"""S3-CHECKLIST 44: unfinished uploads expire, their parts go, and what is complete stays."""

import pytest
from bleepstore.commands import AbortUpload
from bleepstore.metadata import MetadataUnavailable, Reason, Refused
from bleepstore.settings import Settings, UpkeepSettings
from bleepstore.upkeep import rounds
from bleepstore.upkeep.rounds import DAY, expire_uploads, remove_garbage

pytestmark = pytest.mark.anyio


@pytest.fixture
def services(services_of):
    return services_of(settings=Settings(upkeep=UpkeepSettings(upload_expiry_days=7)))


async def test_upload_expires_after_the_days_configured(services, store, storage, bucket):
    """S3-CHECKLIST 44: with the blobs of its parts, once they are garbage."""
    upload = await store.begin(bucket, "key")
    await store.part(upload, 1, blob="part")
    storage.memory.blobs["part"] = b"x"
    begun = store.now
    store.now = upload.created + 7 * DAY
    assert await expire_uploads(services) == 0
    store.now += 1
    assert begun < store.now
    assert await expire_uploads(services) == 1
    assert await store.engine.upload(bucket.name, "key", upload.id) == (bucket, None)
    assert await remove_garbage(services) == 1
    assert storage.memory.blobs == {}


async def test_younger_uploads_stay(services, store, bucket):
    old = await store.begin(bucket, "key")
    store.now = old.created + 5 * DAY
    young = await store.begin(bucket, "key")
    store.now = old.created + 8 * DAY
    assert await expire_uploads(services) == 1
    found = await store.engine.list_uploads(bucket.id, prefix="", delimiter="", after=("", ""), limit=10)
    assert [upload.id for upload in found.entries] == [young.id]


async def test_completed_upload_is_forgotten_and_its_object_stays(services, store, storage, bucket):
    upload = await store.begin(bucket, "key")
    await store.part(upload, 1, blob="part")
    await store.complete(bucket, upload, (1, 1))
    store.now = upload.created + 8 * DAY
    assert await expire_uploads(services) == 1
    assert await store.engine.upload(bucket.name, "key", upload.id) == (bucket, None)
    assert await store.garbage() == []
    assert (await store.object(bucket, "key")).size == 10
    assert await expire_uploads(services) == 0


@pytest.mark.parametrize("reason", [Reason.NO_SUCH_UPLOAD, Reason.NO_SUCH_BUCKET])
async def test_upload_that_somebody_else_ended_meanwhile_is_no_failure(
    services, store, bucket, monkeypatch, reason
):
    """A client aborts, or its bucket is deleted, between the look and the command."""
    first, second = await store.begin(bucket, "key"), await store.begin(bucket, "key")
    store.now = second.created + 8 * DAY
    apply, asked = store.engine.apply, []

    async def racing(command):
        asked.append(command.upload)
        if command.upload == first.id:
            raise Refused(reason)
        return await apply(command)

    monkeypatch.setattr(store.engine, "apply", racing)
    assert await expire_uploads(services) == 2
    assert asked == [first.id, second.id]


async def test_other_failures_are_not_swallowed(services, store, bucket, monkeypatch):
    upload = await store.begin(bucket, "key")
    store.now = upload.created + 8 * DAY

    async def failing(command):
        assert isinstance(command, AbortUpload)
        raise MetadataUnavailable

    monkeypatch.setattr(store.engine, "apply", failing)
    with pytest.raises(MetadataUnavailable):
        await expire_uploads(services)


async def test_one_round_takes_a_batch(services, store, bucket, monkeypatch):
    monkeypatch.setattr(rounds, "BATCH", 2)
    for _ in range(3):
        upload = await store.begin(bucket, "key")
    store.now = upload.created + 8 * DAY
    assert [await expire_uploads(services) for _ in range(3)] == [2, 1, 0]
