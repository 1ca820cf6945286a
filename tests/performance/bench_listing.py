#!/usr/bin/env python3
"""What a page of a listing costs: a million keys flat, in 1,000 prefixes, and in a deep tree.

    python tests/performance/bench_listing.py [--keys 10000 1000000] [--peer-keys 100000] [--servers NAME...]

One client asks for the same page again and again: 1,000 keys at the start, in the middle and at the end
of the flat bucket, all 1,000 common prefixes and 100 of them at three places, and one level of the tree.
BleepStore is filled by commands to its metadata engine (``fill_store.py``) and measured at each number
of ``--keys``. Peers are filled over HTTP, up to ``--peer-keys`` in ``--fill-seconds``, and the report says
how many keys they came to: their ratios compare with BleepStore at its largest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import buckets
import report
import wrk
from bench import Bench, arguments
from keyspace import DEEP, FLAT, PREFIXED, Shape
from load import Load
from servers import BleepStore, Server

MIB = 1024 * 1024
SHAPES = (FLAT, PREFIXED, DEEP)
DEEP_KEYS = 100_000
"""The tree has no more: what counts there is depth."""


@dataclass
class Filled:
    """A server with its buckets at one number of keys."""

    server: Server
    label: str
    counts: dict[str, int] = field(default_factory=dict)
    """Keys by name of shape."""
    wanted: dict[str, int] = field(default_factory=dict)
    """Keys that there would be if time had not ended the filling: names depend on that number."""

    def bucket(self, shape: Shape) -> str:
        """Its name."""
        return f"listing-{shape.name}"


@dataclass(frozen=True)
class Page:
    """One kind of page."""

    case: str
    shape: Shape
    delimited: bool
    limit: int
    at: float
    """Where it begins, 0 to 1."""

    def query(self, filled: Filled) -> dict[str, str]:
        """Of ListObjectsV2."""
        wanted = filled.wanted[self.shape.name]
        # What was cut short has the first of the flat keys, but some keys of every prefix.
        held = filled.counts[self.shape.name] if self.shape is FLAT else wanted
        query = {"list-type": "2", "max-keys": str(self.limit)}
        if self.shape is DEEP:
            query["prefix"] = "0/"
        if self.delimited:
            query["delimiter"] = "/"
        if self.at:
            number = int(self.at * held)
            if not self.delimited:
                number = max(0, min(number, held - self.limit - 1))
            query["start-after"] = self.shape.key(number, wanted)
        return query


PAGES = (
    Page("flat, start, 1,000 keys", FLAT, False, 1000, 0.0),
    Page("flat, middle, 1,000 keys", FLAT, False, 1000, 0.5),
    Page("flat, end, 1,000 keys", FLAT, False, 1000, 1.0),
    Page("all of 1,000 prefixes", PREFIXED, True, 1000, 0.0),
    Page("prefixes, start, 100", PREFIXED, True, 100, 0.0),
    Page("prefixes, middle, 100", PREFIXED, True, 100, 0.5),
    Page("prefixes, end, 100", PREFIXED, True, 100, 0.899),
    Page("deep tree, one level", DEEP, True, 1000, 0.0),
    Page("deep tree, below one prefix, 1,000 keys", DEEP, False, 1000, 0.0),
)


def database(server: BleepStore) -> Path:
    """Where ``ServerProcess`` keeps it."""
    return server.directory / "data" / "metadata.db"


def fill_bleepstore(bench: Bench, server: BleepStore, count: int) -> Filled:
    """All buckets, by commands; and what the store costs then."""
    filled = Filled(server, f"{server.name} at {count:,}")
    for shape in SHAPES:
        buckets.make(server, filled.bucket(shape))
    server.stop()
    before = database(server).stat().st_size
    begun = time.perf_counter()
    for shape in SHAPES:
        keys = min(count, DEEP_KEYS) if shape is DEEP else count
        filled.counts[shape.name] = filled.wanted[shape.name] = keys
        done = subprocess.run(
            [
                *(sys.executable, str(Path(__file__).with_name("fill_store.py"))),
                *(str(database(server)), filled.bucket(shape), shape.name, str(keys)),
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{filled.bucket(shape)} could not be filled: {done.stderr[-2000:]}")
    took = time.perf_counter() - begun
    size = database(server).stat().st_size - before
    begun = time.perf_counter()
    server.start()
    started = time.perf_counter() - begun
    bench.notes.append(
        f"{filled.label} keys in a bucket ({filled.counts[DEEP.name]:,} in the tree): filled in {took:.0f} "
        f"s, {size / sum(filled.counts.values()):.0f} bytes of database an (empty) object, started in "
        f"{started:.2f} s."
    )
    return filled


def fill_peer(bench: Bench, server: Server, options: argparse.Namespace) -> Filled:
    """All buckets over HTTP, as far as time allows."""
    filled, errors = Filled(server, server.name), 0
    for shape in SHAPES:
        buckets.make(server, filled.bucket(shape))
        wanted = min(options.peer_keys, DEEP_KEYS // 5) if shape is DEEP else options.peer_keys
        keys = [shape.key(number, wanted) for number in range(wanted)]
        if shape is PREFIXED:  # every prefix has keys, wherever time ends it
            keys = [key for first in range(100) for key in keys[first::100]]
        seconds = options.fill_seconds
        done = buckets.fill(server, filled.bucket(shape), keys, seconds=seconds)
        filled.counts[shape.name], filled.wanted[shape.name] = done.requests, wanted
        errors += done.errors
    counts = ", ".join(f"{count:,} {name}" for name, count in filled.counts.items())
    bench.notes.append(f"{server.name} has {counts} keys{f'; {errors} PUTs failed' if errors else ''}.")
    return filled


def ask(filled: Filled, page: Page, seconds: float) -> Load:
    """The page, again and again."""
    server = filled.server
    request = server.presigner().request("GET", filled.bucket(page.shape), page.query(filled))
    return wrk.run(server.url, [request], connections=1, seconds=seconds)


def main() -> None:
    """Fill, measure and report."""
    parser = arguments(__doc__)
    parser.set_defaults(servers=["bleepstore", "seaweedfs", "rclone"], seconds=1.0)
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--peer-keys", type=int, default=100_000)
    parser.add_argument("--fill-seconds", type=float, default=30.0, help="for each bucket of a peer")
    options = parser.parse_args()
    with Bench(options, start=False) as bench:
        stores = []
        for server in bench.servers:
            if not isinstance(server, BleepStore):
                bench.start(server)
                stores.append(fill_peer(bench, server, options))
                continue
            for count in sorted(options.keys, reverse=True):
                store = BleepStore(
                    server.name,
                    server.directory / str(count),
                    workers=server.workers,
                    settings=server.settings,
                )
                bench.start(store)
                stores.append(fill_bleepstore(bench, store, count))
        for filled in stores:
            filled.server.name = filled.label
        bench.servers = [filled.server for filled in stores]
        for round_ in bench.turns():
            for page in PAGES:
                for filled in stores:
                    bench.run(
                        filled.server, page.case, round_, lambda f=filled, p=page: ask(f, p, options.seconds)
                    )
        finish(bench)


def finish(bench: Bench) -> None:
    """Write the report."""
    found = bench.found()
    servers = [server.name for server in bench.servers]
    bench.notes.append(
        "Milliseconds of a page at p50 / p95 / p99 / p99.9 for one client; the ratio is that of the 99th "
        "percentiles to the first column."
    )
    text = report.table(found, servers, report.latency_cell)
    text += f"\n\n## Pages a second, server CPU a page\n\n{report.table(found, servers)}"
    report.write(bench, "listing", "Listings", text, report.as_latency(found, "50"))


if __name__ == "__main__":
    main()
