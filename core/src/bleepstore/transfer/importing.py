"""``bleepstore import``: objects that are somewhere already come in.

Without a source they are upstream of a gateway, written by others before it was there, or of a
store whose metadata is lost: rows are made for them, and nothing is copied. From a source they are
copied, whatever the backend. What is here already is known by its row, so that a run that was cut off
goes on where it was.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from bleepstore.exchange import Services
from bleepstore.gateway.writes import Gateway
from bleepstore.metadata import BucketRecord
from bleepstore.native import UpstreamObject
from bleepstore.s3.bucket_names import is_bucket_name
from bleepstore.terminal import complain
from bleepstore.transfer import endpoint
from bleepstore.transfer.console import CannotRun, add_json, counting, for_each, run_on_store
from bleepstore.transfer.intake import Intake
from bleepstore.transfer.naming import bucket_of, is_data_directory
from bleepstore.transfer.report import CANNOT, Report
from bleepstore.transfer.sources import Item, Source
from bleepstore.transfer.tree_source import TreeSource
from bleepstore.transfer.upstream import Upstream, is_same
from bleepstore.upkeep.rounds import resolve_intents


def configure(parser: ArgumentParser) -> None:
    """The options."""
    text = "a directory with a folder for each bucket, or s3://[BUCKET[/PREFIX]] (default: what is upstream)"
    parser.add_argument("source", nargs="?", metavar="SOURCE", help=text)
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME", help="only this bucket (repeatable)"
    )
    parser.add_argument("--prefix", default="", metavar="TEXT", help="only keys that begin so")
    parser.add_argument("--into", metavar="NAME", help="SOURCE is what one bucket is to hold: this one")
    endpoint.add_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="also what differs from what is here")
    parser.add_argument("--verify", action="store_true", help="read everything again and compare digests")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and say what would be done")
    text = "make the metadata of another store's objects upstream anew, where its own is lost"
    parser.add_argument("--claim", action="store_true", help=text)
    add_json(parser)


def run(options: Namespace) -> int:
    """Import, print, and return the exit code."""
    try:
        _check(options)
    except CannotRun as error:
        complain(str(error))
        return CANNOT
    store = partial(options.open_store, create=not options.dry_run, claim=options.claim)
    return run_on_store(options, store, partial(_import, options))


def _check(options: Namespace) -> None:
    """A source that was given as the data directory must not become one. Raises CannotRun."""
    if options.claim and options.dry_run:
        raise CannotRun("--claim changes whose the objects upstream are: there is no --dry-run of it")
    folder: Path | None = options.directory
    if folder is None or options.source is not None:
        return
    if str(folder).startswith("s3:/"):
        raise CannotRun("name the data directory first: bleepstore import DIR s3://...")
    if folder.exists() and (not folder.is_dir() or _is_something_else(folder)):
        text = "is no data directory; to import from it, name that first"
        raise CannotRun(f"{folder}: {text}: bleepstore import DIR {folder}")


def _is_something_else(folder: Path) -> bool:
    return not (folder / "metadata.db").exists() and any(folder.iterdir())


async def _import(options: Namespace, services: Services, report: Report) -> None:
    if options.into is not None and not is_bucket_name(options.into):
        raise CannotRun(f"--into {options.into}: no bucket can have this name")
    if services.gateway is not None and not options.dry_run:
        await resolve_intents(services)
    if options.source is not None:
        await _copy(options, services, report)
    elif services.gateway is None:
        raise CannotRun("this backend holds nothing but what was written through here: name a source")
    elif options.into is not None:
        raise CannotRun("--into is for a SOURCE: what is upstream has its bucket already")
    else:
        await _adopt_all(options, services, services.gateway, report)


async def _adopt_all(options: Namespace, services: Services, gateway: Gateway, report: Report) -> None:
    """Make rows for what is upstream."""

    async def sizes(silent: Report) -> AsyncIterator[int]:
        upstream = Upstream(services, gateway, silent, options.bucket)
        async for name in upstream.buckets():
            async for found in upstream.objects(name, options.prefix):
                yield found.size if options.verify else 0

    upstream = Upstream(services, gateway, report, options.bucket)
    async with counting(report, sizes):
        async for name in upstream.buckets():
            bucket = await upstream.bucket(name, make=not options.dry_run)
            await for_each(upstream.objects(name, options.prefix), partial(_adopt, options, upstream, bucket))


async def _copy(options: Namespace, services: Services, report: Report) -> None:
    """Copy what is in a source."""
    source = _source(options, report)
    intake = Intake(
        services,
        source,
        report,
        overwrite=options.overwrite,
        verify=options.verify,
        dry_run=options.dry_run,
    )
    buckets: dict[str, BucketRecord | None] = {}

    async def take(item: Item) -> None:
        bucket = buckets.get(item.bucket)
        if bucket is None:
            bucket = await bucket_of(services, item.bucket, make=not options.dry_run)
            buckets[item.bucket] = bucket
        await intake.take(bucket, item)

    async def sizes(silent: Report) -> AsyncIterator[int]:
        async for item in _source(options, silent).items(options.bucket, options.prefix):
            yield item.size * (2 if options.verify else 1)

    if not options.dry_run and not options.prefix:
        async for name in source.buckets(options.bucket):
            await bucket_of(services, name, make=True)
    async with counting(report, sizes):
        await for_each(source.items(options.bucket, options.prefix), take, at_once=endpoint.AT_ONCE)


def _source(options: Namespace, report: Report) -> Source:
    if not options.source.startswith(endpoint.SCHEME):
        root = Path(options.source)
        if is_data_directory(root):
            raise CannotRun(f"{root}: is a data directory of BleepStore: serve it, or export it first")
        return TreeSource(root, options.into, report)
    place = endpoint.place_of(options.source)
    if place.bucket is None and options.into is not None:
        raise CannotRun("--into takes one bucket: s3://BUCKET")
    from bleepstore.transfer.endpoint_source import EndpointSource

    return EndpointSource(endpoint.Endpoint(options), place, options.into, report)


async def _adopt(
    options: Namespace, upstream: Upstream, bucket: BucketRecord | None, found: UpstreamObject
) -> None:
    """Make a row for an object that has none."""
    report, key = upstream.report, found.key
    row = await upstream.row(bucket, key)
    if row is not None and is_same(row, found):
        report.count("here already")
    elif row is not None and not options.overwrite:
        text = "differs from what is here; --overwrite takes it, and so does `bleepstore rescan --fix`"
        report.tell("changed", found.bucket, key, text)
        return
    elif options.dry_run or bucket is None:
        report.count("to import")
        return
    elif await upstream.take(bucket, found.name, key, row):
        gone = await upstream.row(bucket, key) is None
        report.count("gone meanwhile" if gone else "imported")
    else:
        return
    if options.verify and bucket is not None:
        await upstream.verify(bucket, key)
