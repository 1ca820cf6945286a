"""What the store has, page by page: buckets of everybody, rows of a bucket in byte order of their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

from bleepstore.exchange import Services
from bleepstore.metadata import BucketRecord, ObjectEntry

PAGE = 1000


async def all_buckets(services: Services, only: Collection[str] = ()) -> AsyncIterator[BucketRecord]:
    """Buckets by name; ``only`` these, unless there are none."""
    after = ""
    while True:
        page = await services.metadata.all_buckets(after=after, limit=PAGE)
        for bucket in page.entries:
            assert isinstance(bucket, BucketRecord)
            after = bucket.name
            if not only or bucket.name in only:
                yield bucket
        if not page.truncated:
            return


async def all_rows(
    services: Services, bucket: BucketRecord, *, prefix: str = ""
) -> AsyncIterator[ObjectEntry]:
    """The objects of a bucket whose keys begin so."""
    after = ""
    while True:
        page = await services.metadata.list_objects(
            bucket.id, prefix=prefix, delimiter="", after=after, limit=PAGE
        )
        for entry in page.entries:
            assert isinstance(entry, ObjectEntry)
            after = entry.key
            yield entry
        if not page.truncated:
            return
