#!/usr/bin/env python3
"""Objects and megabytes a second: 1 KB, 64 KB, 1 MB and 100 MB, at one connection and at many.

    python tests/performance/bench_throughput.py [--servers NAME...] [--peer NAME=URL] [--only WORD...]

For each size and number of connections, in every round: PUT of fresh keys, GET of them, HEAD, LIST of a
bucket of 1,000 keys, COPY to fresh keys, a mix of 70 GET and 30 PUT in a hundred, and DELETE of what was
put. Each operation goes through all servers before the next one begins. Requests are presigned before
the clock starts; KB and MB are 1,024 and 1,048,576 bytes of object, MB/s are 1,000,000 bytes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

import buckets
import ceiling
import clients
import report
import wrk
from bench import BUCKET, Bench, arguments
from clients import Sent
from figures import Figure
from load import Load
from presigned import Request
from servers import Server

LISTED = "benchmark-listing"
MANY = 32
SMALL_ONLY = ("moto",)
"""A mock for tests is measured with the smallest objects only: it would take most of the time."""


@dataclass(frozen=True)
class Size:
    """Objects of one size: the operations on them, and at how many connections."""

    name: str
    bytes: int
    operations: Sequence[str]
    connections: Sequence[int]
    rate: int
    """More PUTs a second than any server answers: so many requests are made beforehand."""


SIZES = (
    Size("1 KB", 1024, ("PUT", "GET", "HEAD", "LIST", "COPY", "MIXED", "DELETE"), (1, MANY), 12_000),
    Size("64 KB", 64 * 1024, ("PUT", "GET", "COPY", "MIXED", "DELETE"), (1, MANY), 5_000),
    Size("1 MB", 1024**2, ("PUT", "GET", "COPY", "MIXED", "DELETE"), (1, MANY), 1_000),
    Size("100 MB", 100 * 1024**2, ("PUT", "GET", "COPY", "DELETE"), (1, 4), 20),
)


class Keys:
    """What one server holds of one size, connections and round."""

    def __init__(self, server: Server, size: Size, connections: int, round_: int) -> None:
        self.signer = server.presigner()
        self.prefix = f"{BUCKET}/{size.bytes}/{connections}/{round_}"
        self.stored = 0

    def path(self, number: int, kind: str = "put") -> str:
        """Bucket and key."""
        return f"{self.prefix}/{kind}/{number:07d}"

    def requests(self, method: str, count: int, kind: str = "put") -> list[Request]:
        """Presigned for the first ``count`` keys."""
        return [self.signer.request(method, self.path(number, kind)) for number in range(count)]


def once(server: Server, operation: str, size: Size, connections: int, keys: Keys, seconds: float) -> Load:
    """One run of one operation."""
    if operation == "PUT":
        fresh = keys.requests("PUT", int(size.rate * seconds) + connections)
        done = send(server, fresh, size, connections, seconds, body=BODY[: size.bytes], finite=True)
        keys.stored = done.requests
        return done
    if operation == "LIST":
        request = keys.signer.request("GET", LISTED, {"list-type": "2", "max-keys": "1000"})
        return wrk.run(server.url, [request], connections=connections, seconds=seconds)
    if not keys.stored:
        return Load(0, 0.0, 0, 1, 0.0, told="nothing was put")
    some = min(keys.stored, 5000)
    if operation == "DELETE":
        return send(server, keys.requests("DELETE", keys.stored), size, connections, seconds, finite=True)
    if operation == "GET":
        return send(server, keys.requests("GET", some), size, connections, seconds)
    if operation == "HEAD":
        sent = [Sent(request) for request in keys.requests("HEAD", some)]
    elif operation == "COPY":
        sent = [
            Sent(
                keys.signer.request(
                    "PUT", keys.path(number, "copy"), copy_source="/" + keys.path(number % keys.stored)
                ),
                b"",
            )
            for number in range(int(size.rate * seconds) + connections)
        ]
    else:
        body = memoryview(BODY)[: size.bytes]
        gets = keys.requests("GET", some)
        puts = keys.requests("PUT", 3 * (1 + int(size.rate * seconds) // 10), "mixed")
        sent = []
        for number in range(len(puts) // 3):
            seven = [Sent(gets[(7 * number + n) % some]) for n in range(7)]
            three = [Sent(put, body) for put in puts[3 * number : 3 * number + 3]]
            sent += [*seven[:2], three[0], *seven[2:4], three[1], *seven[4:6], three[2], seven[6]]
    finite = operation == "COPY"
    return clients.run(server.url, sent, connections=connections, seconds=seconds, once=finite)


def send(
    server: Server,
    requests: Sequence[Request],
    size: Size,
    connections: int,
    seconds: float,
    *,
    body: bytes | None = None,
    finite: bool = False,
) -> Load:
    """By wrk, but large bodies by processes of Python: wrk would copy each for every request."""
    if size.bytes < 1024**2:
        return wrk.run(server.url, requests, connections=connections, seconds=seconds, body=body, once=finite)
    sent = [Sent(request, body) for request in requests]
    return clients.run(server.url, sent, connections=connections, seconds=seconds, once=finite)


def case_name(size: Size, operation: str, connections: int) -> str:
    """How tables call it."""
    what = "LIST 1,000 keys" if operation == "LIST" else f"{operation} {size.name}"
    return f"{what}, {connections} conn."


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", help="only cases with one of these words in their name")
    parser.add_argument(
        "--sizes", nargs="+", default=[size.name for size in SIZES], help="of: 1 KB, 64 KB..."
    )
    options = parser.parse_args()
    with Bench(options) as bench:
        for server in bench.servers:
            buckets.make(server, BUCKET)
            buckets.make(server, LISTED)
            buckets.fill(server, LISTED, [f"key/{number:06d}" for number in range(1000)])
        limits = []
        for round_ in bench.turns():
            limits.append(ceiling.measure(bench.directory, 0.5))
            for size in SIZES:
                for connections in size.connections if size.name in options.sizes else ():
                    alternate(bench, size, connections, round_)
        finish(bench, limits)


def alternate(bench: Bench, size: Size, connections: int, round_: int) -> None:
    """All operations on objects of a size, each through all servers."""
    options = bench.options
    servers = [server for server in bench.servers if size is SIZES[0] or server.name not in SMALL_ONLY]
    keys = {server.name: Keys(server, size, connections, round_) for server in servers}
    for operation in size.operations:
        case = case_name(size, operation, connections)
        if skipped(options, size, connections, operation, case):
            continue
        in_bytes = size.bytes >= 1024**2 and operation in ("PUT", "GET", "MIXED")
        for server in servers:
            held = keys[server.name]

            def load(server: Server = server, held: Keys = held, operation: str = operation) -> Load:
                return once(server, operation, size, connections, held, options.seconds)

            bench.run(server, case, round_, load, size=size.bytes if in_bytes else None)


def skipped(options: argparse.Namespace, size: Size, connections: int, operation: str, case: str) -> bool:
    """What ``--only`` leaves out (never the PUT that others need), and ``--quick``."""
    if options.quick and (
        operation in ("MIXED", "COPY") or (connections == 1 and 1024 < size.bytes < LARGEST)
    ):
        return True
    return bool(options.only) and operation != "PUT" and not any(word in case for word in options.only)


def finish(bench: Bench, limits: Sequence[dict[str, float]]) -> None:
    """Write the report."""
    measured = bench.found()
    bench.figures += report.ceilings(limits)
    servers = [server.name for server in bench.servers]
    bench.notes += [
        "Each cell: value · server CPU a request, children included · **how many times as good the first "
        f"server is**. The last column is the share of all {os.cpu_count()} CPUs that the load generator "
        "used, over the servers. Requests are presigned and their bodies not signed.",
        "DELETE deletes the keys that PUT made. Every run begins after a sync of the disk.",
    ]
    text = f"{report.table(measured, servers)}\n\n## What the machine allows\n\n"
    text += report.table(bench.figures, ["ceiling"], generator=False)
    report.write(bench, "throughput", "Throughput", text, [f for f in measured if plotted(f)])


def plotted(figure: Figure) -> bool:
    """The cases of the plot: many connections, and all of the largest size."""
    return f", {MANY} conn" in figure.case or "100 MB" in figure.case


LARGEST = max(size.bytes for size in SIZES)
BODY = os.urandom(LARGEST)

if __name__ == "__main__":
    main()
