"""The engine against a dict: whatever is done in whatever order, every object reads as its bytes."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from bleepstore.commands import Condition
from bleepstore.metadata import BucketRecord, ObjectRecord, Reason, Refused, UploadRecord
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.metadata import Store
from bleepstore.testing.metadata.listings import model_listing, names
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

keys = st.sampled_from(["a", "a/", "a/b", "a/b/c", "b", "é", "\uffff", "\U0001f600"])
bodies = st.binary(max_size=12)
numbers = st.integers(1, 6)


class EngineAgainstDict(RuleBasedStateMachine):
    """``self.blobs`` plays the storage backend: upkeep removes from it what the engine calls garbage."""

    bucket: BucketRecord

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store(lambda: SqliteEngine(self.folder / "metadata.db", durable=False))
        self.blobs: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, tuple[UploadRecord, dict[int, bytes]]] = {}
        self.run(self.store.open())
        self.bucket = self.run(self.store.make_bucket())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def content(self, body: bytes, inline: bool) -> dict[str, Any]:
        blob = self.store.new_blob()
        if inline and body:
            return {"data": body, "blob": blob}
        if body:
            self.blobs[blob] = body
        return {"size": len(body), "blob": blob}

    async def read(self, found: ObjectRecord) -> bytes:
        if found.segments is not None:
            spans = await self.store.spans(found)
        elif found.blob is None:
            return b""
        else:
            spans = []
            data = found.data if found.inline else self.blobs[found.blob]
            assert data is not None
            return data
        pieces = []
        for span in spans:
            blob = await self.store.engine.inline_data(span.blob) if span.inline else self.blobs[span.blob]
            assert blob is not None
            assert len(blob) == span.blob_size
            pieces.append(blob[span.offset : span.offset + span.length])
        return b"".join(pieces)

    # --- objects ----------------------------------------------------------------------------------------

    @rule(key=keys, body=bodies, inline=st.booleans())
    def put(self, key: str, body: bytes, inline: bool) -> None:
        self.run(self.store.put(self.bucket, key, **self.content(body, inline)))
        self.objects[key] = body

    @rule(key=keys, body=bodies)
    def put_where_nothing_is(self, key: str, body: bytes) -> None:
        condition = Condition(if_none_match=True)
        write = self.store.put(self.bucket, key, **self.content(body, True), condition=condition)
        if key not in self.objects:
            self.run(write)
            self.objects[key] = body
            return
        with pytest.raises(Refused) as caught:
            self.run(write)
        assert caught.value.reason is Reason.IF_NONE_MATCH

    @rule(key=keys)
    def delete(self, key: str) -> None:
        assert self.run(self.store.delete(self.bucket, key)) is (key in self.objects)
        self.objects.pop(key, None)

    @precondition(lambda self: self.objects)
    @rule(key=keys, data=st.data())
    def copy(self, key: str, data: st.DataObject) -> None:
        source = data.draw(st.sampled_from(sorted(self.objects)))
        self.run(self.store.copy(self.bucket, key, self.run(self.store.object(self.bucket, source))))
        self.objects[key] = self.objects[source]

    # --- uploads ----------------------------------------------------------------------------------------

    @rule(key=keys)
    def begin(self, key: str) -> None:
        upload = self.run(self.store.begin(self.bucket, key))
        self.uploads[upload.id] = (upload, {})

    def any_upload(self, data: st.DataObject) -> tuple[UploadRecord, dict[int, bytes]]:
        return self.uploads[data.draw(st.sampled_from(sorted(self.uploads)))]

    @precondition(lambda self: self.uploads)
    @rule(number=numbers, body=bodies, inline=st.booleans(), data=st.data())
    def part(self, number: int, body: bytes, inline: bool, data: st.DataObject) -> None:
        upload, parts = self.any_upload(data)
        self.run(self.store.part(upload, number, **self.content(body, inline)))
        parts[number] = body

    @precondition(lambda self: self.uploads and any(self.objects.values()))
    @rule(number=numbers, data=st.data())
    def copy_part(self, number: int, data: st.DataObject) -> None:
        upload, parts = self.any_upload(data)
        key = data.draw(st.sampled_from(sorted(key for key, body in self.objects.items() if body)))
        body = self.objects[key]
        start = data.draw(st.integers(0, len(body) - 1))
        length = data.draw(st.integers(1, len(body) - start))
        source = self.run(self.store.object(self.bucket, key))
        self.run(self.store.copy_part(upload, number, source, start, length))
        parts[number] = body[start : start + length]

    @precondition(lambda self: any(parts for _, parts in self.uploads.values()))
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        ready = sorted(upload for upload, (_, parts) in self.uploads.items() if parts)
        upload, parts = self.uploads.pop(data.draw(st.sampled_from(ready)))
        chosen = data.draw(st.sets(st.sampled_from(sorted(parts)), min_size=1))
        runs = [(number, number) for number in sorted(chosen)]
        self.run(self.store.complete(self.bucket, upload, *runs))
        self.objects[upload.key] = b"".join(parts[number] for number in sorted(chosen))

    @precondition(lambda self: self.uploads)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        upload, _ = self.any_upload(data)
        self.run(self.store.abort(upload))
        del self.uploads[upload.id]

    # --- the rest of the server -------------------------------------------------------------------------

    @rule()
    def upkeep(self) -> None:
        for blob in (dropped := self.run(self.store.garbage())):
            self.blobs.pop(blob, None)
        self.run(self.store.forget(*dropped))

    @rule()
    def restart(self) -> None:
        self.run(self.store.reopen())

    @rule(
        prefix=keys | st.just(""), delimiter=st.sampled_from(["", "/", "b", "/b"]), after=keys | st.just("")
    )
    def list_objects(self, prefix: str, delimiter: str, after: str) -> None:
        page = self.run(
            self.store.engine.list_objects(
                self.bucket.id, prefix=prefix, delimiter=delimiter, after=after, limit=3
            )
        )
        wanted = model_listing(self.objects, prefix, delimiter, after)
        assert (names(page), page.truncated) == (wanted[:3], len(wanted) > 3)

    @invariant()
    def every_object_reads_as_its_bytes(self) -> None:
        if not hasattr(self, "bucket"):
            return
        for key, body in self.objects.items():
            found = self.run(self.store.object(self.bucket, key, data=True))
            assert (found.size, self.run(self.read(found))) == (len(body), body)

    def teardown(self) -> None:
        if not hasattr(self, "bucket"):
            return
        for key in list(self.objects):
            self.delete(key)
        for upload, _ in list(self.uploads.values()):
            self.run(self.store.abort(upload))
        self.upkeep()
        assert self.run(self.names_left()) == []
        named_once = {blob for blob in self.blobs if self.run(self.store.engine.known([blob]))}
        assert named_once == set()
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    async def names_left(self) -> list[str]:
        return [blob.name async for blob in self.store.engine.blobs()]


TestEngineAgainstDict = EngineAgainstDict.TestCase
TestEngineAgainstDict.settings = settings(
    max_examples=30, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
