"""``bleepstore rescan``: metadata and upstream are compared, and with ``--fix`` made to agree.

=========== ============================================= ==================================
what        is                                            ``--fix``
=========== ============================================= ==================================
*pending*   a write or delete that was cut off            decides it by what upstream holds
*changed*   upstream at another state than its row        the row says what upstream holds
*unknown*   upstream, and has no row                      gets one
*removed*   a row of which upstream holds nothing         the row goes
*damaged*   (``--verify``) bytes that are not the ETag's
=========== ============================================= ==================================

Upstream is always right: nothing is written there.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from functools import partial

from bleepstore.exchange import Services
from bleepstore.gateway.resolving import resolve_if_free
from bleepstore.metadata import BucketRecord, Intent, ObjectEntry, ObjectRecord, Refused
from bleepstore.native import UpstreamObject
from bleepstore.storage import StorageFault
from bleepstore.transfer.console import CannotRun, add_json, counting, for_each, run_on_store
from bleepstore.transfer.listing import PAGE, all_buckets, all_rows
from bleepstore.transfer.report import Report
from bleepstore.transfer.upstream import Upstream, is_same


def configure(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME", help="only this bucket (repeatable)"
    )
    parser.add_argument("--fix", action="store_true", help="make the metadata say what upstream holds")
    text = "also ask for headers and metadata of every object, read its bytes and compare digests"
    parser.add_argument("--verify", action="store_true", help=text)
    add_json(parser)


def run(options: Namespace) -> int:
    """Rescan, print, and return the exit code."""
    return run_on_store(options, options.open_store, partial(_rescan, options))


async def _rescan(options: Namespace, services: Services, report: Report) -> None:
    if services.gateway is None:
        raise CannotRun(
            "the storage backend has no upstream to rescan: `bleepstore scrub` checks what it has"
        )

    async def sizes(_: Report) -> AsyncIterator[int]:  # about: what upstream has of others is not known yet
        async for bucket in all_buckets(services, options.bucket):
            async for entry in all_rows(services, bucket):
                yield entry.size if options.verify else 0

    rescan = Rescan(Upstream(services, services.gateway, report, options.bucket), options)
    async with counting(report, sizes):
        await rescan.run()


class Rescan:
    """One look at everything."""

    def __init__(self, upstream: Upstream, options: Namespace) -> None:
        self._upstream = upstream
        self._services = upstream.services
        self._report = upstream.report
        self._only: list[str] = options.bucket
        self._fix: bool = options.fix
        self._verify: bool = options.verify
        self._pending: set[tuple[int, str]] = set()
        """Keys whose intent is not resolved: what they hold is not decided."""
        self._seen: set[int] = set()
        """Hashes of the keys that upstream has of one bucket: some 60 bytes for each."""

    async def run(self) -> None:
        """Look. Raises MetadataUnavailable, and a StorageFault of the whole backend."""
        await self._resolve()
        looked = set()
        async for name in self._upstream.buckets():
            looked.add(name)
            self._seen.clear()
            bucket = await self._upstream.bucket(name, make=self._fix)
            await for_each(self._upstream.objects(name, ""), partial(self._compare, bucket))
            if bucket is not None:
                await for_each(all_rows(self._services, bucket), partial(self._look_for, bucket))
        self._seen.clear()
        async for bucket in all_buckets(self._services, self._only):
            if bucket.name not in looked:
                await for_each(all_rows(self._services, bucket), partial(self._look_for, bucket))

    # --- writes that were cut off -----------------------------------------------------------------------

    async def _resolve(self) -> None:
        """Decide what can be decided; what cannot, or is not to be, is told and left out below."""
        after = (0, "")
        while page := await self._services.metadata.intents(PAGE, after=after):
            after = page[-1].bucket, page[-1].key
            for intent in page:
                if not self._only or intent.bucket_name in self._only:
                    await self._decide(intent)

    async def _decide(self, intent: Intent) -> None:
        detail = "a write or delete was cut off"
        if self._fix:
            try:
                if await resolve_if_free(self._upstream.gateway.engines, intent):
                    self._tell("pending", intent.bucket_name, intent.key, detail, "resolved")
                    return
                detail += "; somebody is at work on it"
            except (StorageFault, Refused) as fault:
                detail += f"; cannot be decided now: {fault}"
        self._pending.add((intent.bucket, intent.key))
        self._tell("pending", intent.bucket_name, intent.key, detail)

    # --- what upstream has --------------------------------------------------------------------------------

    async def _compare(self, bucket: BucketRecord | None, found: UpstreamObject) -> None:
        """An object upstream with its row."""
        self._seen.add(hash(found.key))
        if bucket is not None and (bucket.id, found.key) in self._pending:
            return
        row = await self._upstream.row(bucket, found.key)
        if row is None:
            await self._differs("unknown", bucket, found.bucket, found.key, None, "has no row", "imported")
        elif detail := await self._difference(row, found):
            await self._differs("changed", bucket, found.bucket, found.key, row, detail, "adopted")
        elif self._verify and bucket is not None:
            await self._upstream.verify(bucket, found.key)

    async def _difference(self, row: ObjectRecord, found: UpstreamObject) -> str | None:
        """In what upstream is not what a row says."""
        if not is_same(row, found):
            return f"upstream has {found.size} bytes at {found.token}, the row {row.size} at {row.token}"
        if not self._verify:
            return None
        whole = await self._upstream.gateway.storage.stat(found.name)
        if whole is None or not is_same(row, whole):
            return "upstream has changed just now"
        if dict(whole.metadata) != dict(row.attributes.metadata):
            return "upstream has other metadata"
        if dict(whole.headers) != dict(row.attributes.headers):
            return "upstream has other headers"
        return None

    async def _look_for(self, bucket: BucketRecord, entry: ObjectEntry) -> None:
        """A row, which upstream may have nothing for."""
        if hash(entry.key) in self._seen or (bucket.id, entry.key) in self._pending:
            return
        row = await self._upstream.row(bucket, entry.key)
        if row is None:
            return
        name = row.blob or self._upstream.gateway.storage.name_of(bucket.name, entry.key)
        try:
            found = await self._upstream.gateway.storage.stat(name)
        except StorageFault as fault:
            self._tell("unreadable", bucket.name, entry.key, str(fault))
            return
        self._report.progress.objects += 1
        if found is None:
            detail = "upstream holds nothing"
            await self._differs("removed", bucket, bucket.name, entry.key, row, detail, "its row is gone")
        else:  # a listing may leave out what is written meanwhile
            await self._compare(bucket, found)

    # --- findings -----------------------------------------------------------------------------------------

    async def _differs(
        self,
        kind: str,
        bucket: BucketRecord | None,
        name: str,
        key: str,
        row: ObjectRecord | None,
        detail: str,
        done: str,
    ) -> None:
        """Tell of a difference, and end it if that is asked for."""
        if self._fix and bucket is not None:
            storage = self._upstream.gateway.storage
            blob = (row.blob if row is not None else None) or storage.name_of(bucket.name, key)
            if await self._upstream.take(bucket, blob, key, row):
                self._tell(kind, name, key, detail, done)
                return
        self._tell(kind, name, key, detail)

    def _tell(self, kind: str, bucket: str, key: str, detail: str, fixed: str | None = None) -> None:
        text = detail if fixed is None else f"{detail}; {fixed}"
        self._report.tell(kind, bucket, key, text, fixed=fixed is not None)
