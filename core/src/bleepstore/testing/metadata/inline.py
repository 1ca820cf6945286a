"""Small objects in the metadata database, where an engine has that."""

from __future__ import annotations

import pytest

from bleepstore.testing.metadata.store import KitBase, MakeEngine, Store


class InlineTests(KitBase):
    """Commands that carry bytes."""

    @pytest.fixture
    async def keeps_bytes(self, make_engine: MakeEngine) -> None:
        """What the class says of its engine, which a test of its own compares."""
        if not self.inline:
            pytest.skip("the engine takes no inline bytes")

    @pytest.mark.usefixtures("keeps_bytes")
    async def test_inline_bytes_are_read_when_they_are_asked_for(self, store: Store) -> None:
        """In the same read as the object, and after a restart."""
        bucket = await store.make_bucket()
        data = bytes(range(256)) * 16
        await store.put(bucket, "k", data=data)
        await store.reopen()
        found = await store.object(bucket, "k", data=True)
        assert (found.inline, found.size, found.data) == (True, len(data), data)
        assert (await store.object(bucket, "k")).data is None
        assert found.blob is not None
        assert await store.engine.inline_data(found.blob) == data
        assert await store.engine.inline_data("nothing") is None

    @pytest.mark.usefixtures("keeps_bytes")
    async def test_inline_copy_shares_its_bytes(self, store: Store) -> None:
        """They go with the last row that names them."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", data=b"small", blob="shared")
        await store.copy(bucket, "copy", await store.object(bucket, "k"))
        await store.delete(bucket, "k")
        assert (await store.object(bucket, "copy", data=True)).data == b"small"
        await store.put(bucket, "copy", data=b"other")
        assert await store.engine.inline_data("shared") is None
        assert (await store.object(bucket, "copy", data=True)).data == b"other"

    @pytest.mark.usefixtures("keeps_bytes")
    async def test_inline_part_is_a_segment(self, store: Store) -> None:
        """Between others: the last part of an upload is often small."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1, size=10, blob="stored")
        await store.part(upload, 2, data=b"small", blob="small")
        await store.complete(bucket, upload, (1, 2))
        spans = await store.spans(await store.object(bucket, "k"))
        assert [(span.blob, span.inline, span.length) for span in spans] == [
            ("stored", False, 10),
            ("small", True, 5),
        ]
        assert await store.engine.inline_data("small") == b"small"

    @pytest.mark.usefixtures("keeps_bytes")
    async def test_inline_segment_stays_while_it_is_being_read(self, store: Store) -> None:
        """Who streams a large object comes to its small last part much later."""
        bucket = await store.make_bucket()
        upload = await store.begin(bucket, "k")
        await store.part(upload, 1, size=10, blob="stored")
        await store.part(upload, 2, data=b"small", blob="small")
        await store.complete(bucket, upload, (1, 2))
        with store.engine.reading():
            await store.delete(bucket, "k")
            await store.forget(*await store.garbage())
            assert await store.engine.inline_data("small") == b"small"
        await store.forget(*await store.garbage())
        assert await store.garbage() == []
        assert await store.engine.inline_data("small") is None

    @pytest.mark.usefixtures("keeps_bytes")
    async def test_inline_blobs_are_not_the_backends(self, store: Store) -> None:
        """Scrub must not look for them."""
        bucket = await store.make_bucket()
        await store.put(bucket, "k", data=b"small")
        upload = await store.begin(bucket, "m")
        await store.part(upload, 1, data=b"small")
        assert [blob async for blob in store.engine.blobs()] == []

    @pytest.mark.usefixtures("keeps_bytes")
    async def test_inline_blobs_are_read_and_held_as_others_are(self, store: Store) -> None:
        """All of them, by the ends of their names too; those that were dropped are gone."""
        bucket = await store.make_bucket()
        await store.put(bucket, "gone", data=b"gone")
        await store.delete(bucket, "gone")
        await store.put(bucket, "k", data=b"small", blob="0" * 30 + "0f")
        upload = await store.begin(bucket, "m")
        await store.part(upload, 1, data=b"smaller", blob="0" * 30 + "10")
        found = [blob async for blob in store.engine.inline_blobs()]
        assert {(blob.name[-2:], blob.size, blob.whole) for blob in found} == {
            ("0f", 5, True),
            ("10", 7, True),
        }
        slices = (range(0x10), range(0x10, 0x11), range(0x11, 0x100))
        parts = [[blob async for blob in store.engine.inline_blobs(slice)] for slice in slices]
        assert [[blob.size for blob in part] for part in parts] == [[5], [7], []]
        held = await store.engine.holders([blob.name for blob in found])
        assert [(holder.key, holder.upload) for holder in held] == [("k", None), ("m", upload.id)]
