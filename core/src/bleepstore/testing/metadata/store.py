"""An engine as the kit's tests see it: commands without their chores, and fixtures that open one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from bleepstore import commands as c
from bleepstore.metadata import (
    Attributes,
    BucketRecord,
    Committed,
    MetadataEngine,
    ObjectEntry,
    ObjectRecord,
    Reason,
    Refused,
    Segment,
    UploadRecord,
)

MakeEngine = Callable[[], MetadataEngine]
START = 1_767_323_045_000
"""The time at which every store begins, in milliseconds since 1970."""
OWNER = "owner-of-all"


class Store:
    """A started engine, with ids, times and defaults for commands.

    Blobs that are not named are called ``blob-1``, ``blob-2`` ...; each command is one second after
    the one before.
    """

    engine: MetadataEngine

    def __init__(self, make: MakeEngine) -> None:
        self._make = make
        self._ids = 0
        self._blobs = 0
        self.now = START

    async def open(self) -> None:
        """Make and start an engine."""
        self.engine = self._make()
        await self.engine.start()

    async def close(self) -> None:
        """Stop it."""
        await self.engine.stop()

    async def reopen(self) -> None:
        """Stop the engine, and start another one over the same place."""
        await self.close()
        await self.open()

    def stamp(self) -> dict[str, Any]:
        """The id and the time of the next command."""
        self._ids += 1
        self.now += 1000
        return {"id": f"{self._ids:032x}", "at": self.now}

    def new_blob(self) -> str:
        """The name of a blob that was never used."""
        self._blobs += 1
        return f"blob-{self._blobs}"

    def content(self, size: int = 10, data: bytes | None = None, blob: str | None = None) -> c.Content:
        """Bytes in a blob, inline where ``data`` is given, nowhere when there are none."""
        if data is not None:
            size = len(data)
        if size == 0:
            return c.Content(size=0)
        return c.Content(size=size, blob=blob or self.new_blob(), data=data)

    async def apply(self, kind: type[c.Command], **values: Any) -> Any:
        """Run a command of a kind."""
        return await self.engine.apply(kind(**self.stamp(), **values))

    # --- buckets and objects ----------------------------------------------------------------------------

    async def make_bucket(self, name: str = "bucket", owner: str = OWNER, **values: Any) -> BucketRecord:
        """CreateBucket."""
        made = await self.apply(c.CreateBucket, name=name, owner=owner, region="us-east-1", **values)
        assert isinstance(made, BucketRecord)
        return made

    async def put(
        self,
        bucket: BucketRecord,
        key: str,
        *,
        size: int = 10,
        data: bytes | None = None,
        blob: str | None = None,
        **values: Any,
    ) -> Committed:
        """CommitObject."""
        values.setdefault("etag", f"etag-of-{self._ids + 1}")
        values.setdefault("attributes", Attributes())
        values.setdefault("owner", OWNER)
        content = self.content(size, data, blob)
        made = await self.apply(c.CommitObject, bucket=bucket.id, key=key, content=content, **values)
        assert isinstance(made, Committed)
        return made

    async def copy(self, bucket: BucketRecord, key: str, source: ObjectRecord, **values: Any) -> Committed:
        """CopyObject."""
        values.setdefault("attributes", source.attributes)
        made = await self.apply(
            c.CopyObject,
            bucket=bucket.id,
            key=key,
            source=source_of(source),
            etag=source.etag,
            owner=OWNER,
            **values,
        )
        assert isinstance(made, Committed)
        return made

    async def delete(self, bucket: BucketRecord, key: str, **values: Any) -> bool:
        """DeleteObject."""
        there = await self.apply(c.DeleteObject, bucket=bucket.id, key=key, **values)
        assert isinstance(there, bool)
        return there

    async def find(
        self, bucket: BucketRecord, key: str, version: str | None = None, *, data: bool = False
    ) -> ObjectRecord | None:
        """The object, if it is there."""
        found_bucket, found = await self.engine.object(bucket.name, key, version, data=data)
        assert found_bucket is not None
        return found

    async def object(self, bucket: BucketRecord, key: str, *, data: bool = False) -> ObjectRecord:
        """The object, which is there."""
        found = await self.find(bucket, key, data=data)
        assert found is not None
        return found

    async def spans(self, found: ObjectRecord) -> Sequence[Segment]:
        """Where the bytes of an object that is a list are."""
        assert found.segments is not None
        return await self.engine.segments(found.segments, start=0, length=found.size)

    # --- uploads ----------------------------------------------------------------------------------------

    async def begin(self, bucket: BucketRecord, key: str, upload: str | None = None) -> UploadRecord:
        """CreateUpload. Ids rise with time, as all ids of the server do."""
        begun = await self.apply(
            c.CreateUpload,
            bucket=bucket.id,
            key=key,
            upload=upload or f"upload-{self._ids:08}",
            owner=OWNER,
            initiator=OWNER,
            attributes=Attributes(headers={"content-type": "text/plain"}),
        )
        assert isinstance(begun, UploadRecord)
        return begun

    async def part(
        self,
        upload: UploadRecord,
        number: int,
        *,
        size: int = 10,
        data: bytes | None = None,
        blob: str | None = None,
    ) -> Committed:
        """CommitPart."""
        made = await self.apply(
            c.CommitPart,
            bucket=upload.bucket,
            key=upload.key,
            upload=upload.id,
            number=number,
            content=self.content(size, data, blob),
            etag=f"etag-of-part-{number}",
        )
        assert isinstance(made, Committed)
        return made

    async def copy_part(
        self, upload: UploadRecord, number: int, source: ObjectRecord, start: int, length: int
    ) -> Committed:
        """CopyPart."""
        made = await self.apply(
            c.CopyPart,
            bucket=upload.bucket,
            key=upload.key,
            upload=upload.id,
            number=number,
            source=source_of(source),
            start=start,
            length=length,
            etag=f"etag-of-part-{number}",
        )
        assert isinstance(made, Committed)
        return made

    async def upload(self, bucket: BucketRecord, upload: UploadRecord) -> UploadRecord:
        """The upload as it is now."""
        found_bucket, found = await self.engine.upload(bucket.name, upload.key, upload.id)
        assert found_bucket is not None
        assert found is not None
        return found

    async def complete(
        self, bucket: BucketRecord, upload: UploadRecord, *runs: tuple[int, int], **values: Any
    ) -> Committed:
        """CompleteUpload of these runs of parts, decided on the upload as it is now."""
        now = await self.upload(bucket, upload)
        named = {number for first, last in runs for number in range(first, last + 1)}
        parts = [part for part in await self.engine.parts(now.segments) if part.number in named]
        values.setdefault("generation", now.generation)
        made = await self.apply(
            c.CompleteUpload,
            bucket=bucket.id,
            key=upload.key,
            upload=upload.id,
            parts=runs,
            size=sum(part.size for part in parts),
            etag=f"etag-of-all-{len(parts)}",
            checksum=None,
            **values,
        )
        assert isinstance(made, Committed)
        return made

    async def abort(self, upload: UploadRecord) -> None:
        """AbortUpload."""
        await self.apply(c.AbortUpload, bucket=upload.bucket, key=upload.key, upload=upload.id)

    # --- what is looked at ------------------------------------------------------------------------------

    async def garbage(self) -> list[str]:
        """The blobs that can be removed, sorted by name."""
        return sorted(found.blob for found in await self.engine.garbage(10_000))

    async def forget(self, *blobs: str) -> None:
        """ForgetGarbage."""
        await self.apply(c.ForgetGarbage, blobs=blobs)

    async def everything(self, *buckets: BucketRecord) -> list[Any]:
        """What can be read of the store: equal before and after whatever changes nothing."""
        engine = self.engine
        seen: list[Any] = [await self.garbage(), await engine.events("kit", 10_000)]
        for bucket in buckets:
            record = await engine.bucket(bucket.name)
            seen.append(record)
            if record is None:
                continue
            listing = await engine.list_objects(record.id, prefix="", delimiter="", after="", limit=10_000)
            uploads = await engine.list_uploads(
                record.id, prefix="", delimiter="", after=("", ""), limit=10_000
            )
            seen += [listing, uploads]
            for upload in uploads.entries:
                assert isinstance(upload, UploadRecord)
                seen.append(await engine.parts(upload.segments))
            for entry in listing.entries:
                assert isinstance(entry, ObjectEntry)
                _, found = await engine.object(bucket.name, entry.key)
                seen.append(found)
                if found is not None and found.segments is not None:
                    seen.append(await self.spans(found))
        return seen


def entry_of(found: ObjectRecord) -> ObjectEntry:
    """An object as a listing shows it."""
    attributes = found.attributes
    checksum = attributes.checksum
    return ObjectEntry(
        key=found.key,
        size=found.size,
        etag=found.etag,
        modified=found.modified,
        owner=found.owner,
        version=found.version,
        storage_class=attributes.storage_class,
        checksum_algorithm=None if checksum is None else checksum.algorithm,
        checksum_type=None if checksum is None else checksum.type,
    )


def source_of(found: ObjectRecord) -> c.Source:
    """A copy source as it was read."""
    return c.Source(bucket=found.bucket, key=found.key, version=found.version, seq=found.seq, etag=found.etag)


class refused:
    """``with refused(Reason.X):`` - the block ends in that refusal."""

    def __init__(self, reason: Reason) -> None:
        self._reason = reason
        self._raises = pytest.raises(Refused)

    def __enter__(self) -> pytest.ExceptionInfo[Refused]:
        return self._raises.__enter__()

    def __exit__(self, *exception: Any) -> bool:
        caught = bool(self._raises.__exit__(*exception))
        if caught:
            assert exception[1].reason is self._reason, f"refused as {exception[1].reason}"
        return caught


@pytest.mark.anyio
class KitBase:
    """What all parts of the kit have: a started engine, and one way to make it."""

    inline = True
    """What the engine's ``inline`` has to be: a capability that gets lost must not hide its tests."""
    turns_to_queue = 1
    """Turns of the event loop after which ``apply`` has queued its command."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The server runs on asyncio."""
        return "asyncio"

    @pytest.fixture
    def make_engine(self) -> MakeEngine:
        """Override it: a callable that makes an engine, not started, over the same place each time."""
        raise NotImplementedError("a class that inherits the kit has a fixture make_engine")

    @pytest.fixture
    async def store(self, make_engine: MakeEngine) -> AsyncIterator[Store]:
        """A store that is empty at first."""
        store = Store(make_engine)
        await store.open()
        yield store
        await store.close()
