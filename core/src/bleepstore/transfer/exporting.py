"""``bleepstore export``: objects go out, into a directory or to another S3 endpoint.

What is there already is compared, so that a run that was cut off goes on where it was.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

from bleepstore.exchange import Services
from bleepstore.metadata import BucketRecord, ObjectEntry, ObjectRecord
from bleepstore.storage import BlobMissing, StorageFault, TokenMismatch
from bleepstore.transfer import endpoint
from bleepstore.transfer.console import CannotRun, Patience, add_json, counting, for_each, run_on_store
from bleepstore.transfer.listing import all_buckets, all_rows
from bleepstore.transfer.naming import is_data_directory
from bleepstore.transfer.report import Report
from bleepstore.transfer.targets import State, Target, Unwritable
from bleepstore.transfer.tree_target import TreeTarget
from bleepstore.transfer.verifying import Wrong, checked, fault_of


def configure(parser: ArgumentParser) -> None:
    """The options."""
    text = "a directory, which gets a folder for each bucket, or s3://[BUCKET[/PREFIX]]"
    parser.add_argument("destination", metavar="DEST", help=text)
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME", help="only this bucket (repeatable)"
    )
    parser.add_argument("--prefix", default="", metavar="TEXT", help="only keys that begin so")
    endpoint.add_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="also where something else is there")
    parser.add_argument("--verify", action="store_true", help="read everything there and compare digests")
    parser.add_argument("--dry-run", action="store_true", help="write nothing, and say what would be done")
    add_json(parser)


def run(options: Namespace) -> int:
    """Export, print, and return the exit code."""
    return run_on_store(options, options.open_store, partial(_export, options))


async def _export(options: Namespace, services: Services, report: Report) -> None:
    buckets = [bucket async for bucket in all_buckets(services, options.bucket)]
    if missing := sorted(set(options.bucket) - {bucket.name for bucket in buckets}):
        raise CannotRun(f"--bucket {missing[0]}: there is no such bucket")
    target = _target(options, services, len(buckets))
    export = Export(services, target, report, options)

    async def sizes(_: Report) -> AsyncIterator[int]:
        for bucket in buckets:
            async for entry in all_rows(services, bucket, prefix=options.prefix):
                yield entry.size * (2 if options.verify else 1)

    await target.start(report, dry_run=options.dry_run)
    try:
        async with counting(report, sizes):
            for bucket in buckets:
                await target.bucket(bucket)
                rows = all_rows(services, bucket, prefix=options.prefix)
                await for_each(rows, partial(export.take, bucket), at_once=endpoint.AT_ONCE)
    finally:
        await target.stop()


def _target(options: Namespace, services: Services, buckets: int) -> Target:
    if not options.destination.startswith(endpoint.SCHEME):
        root = Path(options.destination).absolute()
        if is_data_directory(root):
            raise CannotRun(f"{root}: is a data directory of BleepStore, and no place for an export")
        return TreeTarget(root, services)
    place = endpoint.place_of(options.destination)
    if place.bucket is not None and buckets > 1:
        raise CannotRun(f"{place}: takes one bucket, named by --bucket; s3:// takes each under its own name")
    from bleepstore.transfer.endpoint_target import EndpointTarget

    return EndpointTarget(endpoint.Endpoint(options), place)


class Export:
    """Copies objects of a store to a target."""

    def __init__(self, services: Services, target: Target, report: Report, options: Namespace) -> None:
        self._services = services
        self._target = target
        self._report = report
        self._overwrite: bool = options.overwrite
        self._verify: bool = options.verify
        self._dry_run: bool = options.dry_run
        self._patience = Patience()

    async def take(self, bucket: BucketRecord, entry: ObjectEntry) -> None:
        """Copy an object, if that is to be; what fails is told. Raises CannotRun: nothing else will do."""
        row = await self._row(bucket, entry.key)
        if row is None:
            return
        self._report.progress.objects += 1
        try:
            state = await self._target.state(bucket, row)
            if state is State.SAME:
                self._report.count("there already")
                self._report.progress.spared += row.size
            elif state is State.OTHER and not self._overwrite:
                raise Unwritable("something else is there; --overwrite replaces it", "differs")
            elif self._dry_run:
                self._report.count("to export")
                return
            else:
                row = await self._copy(bucket, row)
                self._report.count("exported")
            self._patience.answered()
            if self._verify and (fault := await fault_of(row, self._target.read(bucket, row), self._report)):
                self._tell("damaged", bucket, row.key, f"there, it {fault}")
        except Unwritable as error:
            if not error.answered:
                self._patience.unanswered(error)
            self._tell(error.kind, bucket, row.key, str(error))
        except Wrong as error:
            self._tell("damaged", bucket, row.key, f"{error}: it is not exported")
        except StorageFault as error:
            self._tell("unreadable", bucket, row.key, str(error) or type(error).__name__)

    async def _row(self, bucket: BucketRecord, key: str) -> ObjectRecord | None:
        return (await self._services.metadata.object(bucket.name, key))[1]

    async def _copy(self, bucket: BucketRecord, row: ObjectRecord) -> ObjectRecord:
        """Copy; what others have changed upstream goes out as it is now. The row that it was."""
        try:
            await self._put(bucket, row)
        except (BlobMissing, TokenMismatch):
            if self._services.gateway is None:
                raise
            now = await self._services.gateway.renew(bucket, row)
            if now is None:
                raise
            row = now
            await self._put(bucket, row)
        return row

    async def _put(self, bucket: BucketRecord, row: ObjectRecord) -> None:
        async with aclosing(checked(self._services, row, self._report)) as pieces:
            await self._target.put(bucket, row, pieces)

    def _tell(self, kind: str, bucket: BucketRecord, key: str, detail: str) -> None:
        self._report.tell(kind, bucket.name, key, detail)
