"""``bleepstore import``: objects that are somewhere already come in.

Without a source they are upstream of a gateway, written by others before it was there, or of a
store whose metadata is lost: rows are made for them, and nothing is copied.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial

from bleepstore.exchange import Services
from bleepstore.metadata import BucketRecord
from bleepstore.native import UpstreamObject
from bleepstore.transfer.console import CannotRun, Report, add_json, for_each, run_on_store
from bleepstore.transfer.upstream import Upstream, is_same
from bleepstore.upkeep.rounds import resolve_intents


def configure(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME", help="only this bucket (repeatable)"
    )
    parser.add_argument("--prefix", default="", metavar="TEXT", help="only keys that begin so")
    parser.add_argument("--overwrite", action="store_true", help="also what differs from what is here")
    parser.add_argument("--verify", action="store_true", help="read everything again and compare digests")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and say what would be done")
    text = "make the metadata of another store's objects upstream anew, where its own is lost"
    parser.add_argument("--claim", action="store_true", help=text)
    add_json(parser)


def run(options: Namespace) -> int:
    """Import, print, and return the exit code."""
    store = partial(options.open_store, create=True, claim=options.claim)
    return run_on_store(options, store, partial(_import, options))


async def _import(options: Namespace, services: Services, report: Report) -> None:
    if services.gateway is None:
        raise CannotRun("this backend holds nothing but what was written through here: name a source")
    if not options.dry_run:
        await resolve_intents(services)
    upstream = Upstream(services, services.gateway, report, options.bucket)
    async for name in upstream.buckets():
        bucket = await upstream.bucket(name, make=not options.dry_run)
        await for_each(upstream.objects(name, options.prefix), partial(_adopt, options, upstream, bucket))


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
