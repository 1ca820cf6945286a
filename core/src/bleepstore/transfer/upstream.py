"""One object of a native backend beside its row, and the adoption of what upstream holds."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bleepstore.exchange import Services
from bleepstore.gateway.adopting import adopt
from bleepstore.gateway.writes import Gateway
from bleepstore.metadata import BucketRecord, ObjectRecord
from bleepstore.native import UpstreamObject
from bleepstore.storage import StorageFault
from bleepstore.transfer.naming import bucket_of, is_key, wanted
from bleepstore.transfer.report import Report
from bleepstore.transfer.verifying import fault_of, read


class Upstream:
    """What upstream holds, bucket by bucket."""

    def __init__(self, services: Services, gateway: Gateway, report: Report, only: list[str]) -> None:
        """``only``: names of buckets, where not all of them are meant."""
        self.services = services
        self.gateway = gateway
        self.report = report
        self._only = only

    async def buckets(self) -> AsyncIterator[str]:
        """Names that are buckets' names."""
        found = set()
        async for name in self.gateway.storage.buckets():
            found.add(name)
            if wanted(name, self._only, self.report):
                yield name
        for name in self._only:
            if name not in found and await self.services.metadata.bucket(name) is None:
                self.report.tell("missing", name, "", "there is no such bucket, here or upstream")

    async def bucket(self, name: str, *, make: bool) -> BucketRecord | None:
        """The bucket of a name, made where it is missing."""
        return await bucket_of(self.services, name, make=make)

    async def objects(self, bucket: str, prefix: str) -> AsyncIterator[UpstreamObject]:
        """What is there of a bucket, but for what cannot have a row."""
        async for found in self.gateway.storage.objects(bucket, prefix=prefix):
            self.report.progress.objects += 1
            if is_key(found.key):
                yield found
            else:
                self.report.tell("unusable", bucket, found.key, "this cannot be a key: it is passed by")

    async def row(self, bucket: BucketRecord | None, key: str) -> ObjectRecord | None:
        """The row of a key."""
        if bucket is None:
            return None
        return (await self.services.metadata.object(bucket.name, key))[1]

    async def take(self, bucket: BucketRecord, name: str, key: str, row: ObjectRecord | None) -> bool:
        """Make the row what upstream holds now (or nothing); whether it is. What fails is told."""
        seq = 0 if row is None else row.seq
        try:
            done = await adopt(
                self.gateway.engines, name, bucket=bucket.id, key=key, seq=seq, owner=bucket.owner
            )
        except StorageFault as fault:
            self.report.tell("unreadable", bucket.name, key, _text(fault))
            return False
        if not done:
            self.report.tell("pending", bucket.name, key, "a write of it is under way, or not resolved yet")
        return done

    async def verify(self, bucket: BucketRecord, key: str) -> None:
        """Read an object and compare it with its row; what is wrong is told."""
        row = await self.row(bucket, key)
        if row is None:
            return
        try:
            fault = await fault_of(row, read(self.services, row), self.report)
        except StorageFault as error:
            self.report.tell("unreadable", bucket.name, key, _text(error))
        else:
            if fault is not None:
                self.report.tell("damaged", bucket.name, key, fault)


def is_same(row: ObjectRecord, found: UpstreamObject) -> bool:
    """Whether a row is of the state that upstream is at."""
    return row.token == found.token and row.size == found.size


def _text(fault: StorageFault) -> str:
    return str(fault) or type(fault).__name__
