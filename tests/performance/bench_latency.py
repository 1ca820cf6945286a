#!/usr/bin/env python3
"""How long a request takes: p50, p95, p99 and p99.9 at 1, 10, 100 and 1,000 clients at once.

    python tests/performance/bench_latency.py [--clients 1 10 100 1000] [--servers NAME...]

GET and PUT of 1 KB over kept connections that each send the next request when the reply is there. wrk
corrects its percentiles for the requests that it could not send while one was late.
"""

from __future__ import annotations

import os

import buckets
import report
import wrk
from bench import BUCKET, Bench, arguments
from load import Load
from servers import Server

BODY = os.urandom(1024)
RATE = 12_000
"""More PUTs a second than any server answers."""
STORED = 1000


def put(server: Server, count: int, round_: int, seconds: float) -> Load:
    """PUTs of fresh keys."""
    signer = server.presigner()
    fresh = [
        signer.request("PUT", f"{BUCKET}/{count}/{round_}/{number:07d}")
        for number in range(int(RATE * seconds) + count)
    ]
    return wrk.run(server.url, fresh, connections=count, seconds=seconds, body=BODY, once=True)


def get(server: Server, count: int, seconds: float) -> Load:
    """GETs of the same thousand keys."""
    signer = server.presigner()
    stored = [signer.request("GET", f"{BUCKET}/stored/{number:04d}") for number in range(STORED)]
    return wrk.run(server.url, stored, connections=count, seconds=seconds)


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 100, 1000])
    options = parser.parse_args()
    with Bench(options) as bench:
        for server in bench.servers:
            buckets.make(server, BUCKET)
            signer = server.presigner()
            stored = [signer.request("PUT", f"{BUCKET}/stored/{number:04d}") for number in range(STORED)]
            wrk.run(server.url, stored, connections=8, seconds=60, body=BODY, once=True)
        for round_ in bench.turns():
            for count in options.clients:
                for server in bench.servers:

                    def load(server: Server = server, count: int = count, round_: int = round_) -> Load:
                        return put(server, count, round_, options.seconds)

                    bench.run(server, f"PUT 1 KB, {count:,} clients", round_, load)
                for server in bench.servers:

                    def load(server: Server = server, count: int = count) -> Load:
                        return get(server, count, options.seconds)

                    bench.run(server, f"GET 1 KB, {count:,} clients", round_, load)
        found = bench.found()
        servers = [server.name for server in bench.servers]
        bench.notes.append(
            "Milliseconds at p50 / p95 / p99 / p99.9, the mean of the rounds; the ratio is that of the 99th "
            "percentiles. Errors are replies of 400 or more, broken connections, and requests without an "
            f"answer in {wrk.TIMEOUT} s."
        )
        text = report.table(found, servers, report.latency_cell)
        text += f"\n\n## Requests a second meanwhile\n\n{report.table(found, servers)}"
        text += "\n\n## The slowest answer, and memory at the most\n\n"
        text += report.table(found, servers, report.extremes_cell, generator=False)
        report.write(bench, "latency", "Latency", text, report.as_latency(found, "99"))


if __name__ == "__main__":
    main()
