#!/usr/bin/env python3
"""Time from the start to the first answer, and memory: idle, and after load.

    python tests/performance/bench_startup.py [--starts 5] [--servers NAME...]

The servers take turns. The first start makes what the server needs on an empty disk, the others find it
there; a server has started when it answers a request (SeaweedFS: when it can make a bucket). Memory is
that of all its processes: resident, and proportional (PSS), in which shared pages count once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import buckets
import report
import wrk
from bench import BUCKET, Bench, arguments
from figures import Figure
from processes import memory
from servers import Server

MIB = 1024 * 1024
BODY = os.urandom(1024)
CONNECTIONS = 32


def memory_of(server: Server) -> tuple[float, float]:
    """MiB resident and proportional."""
    found = [memory(pid) for pid in server.pids()]
    return sum(pair[0] for pair in found) / MIB, sum(pair[1] for pair in found) / MIB


def started(server: Server) -> float:
    """Seconds to the first answer."""
    begun = time.perf_counter()
    server.start()
    return time.perf_counter() - begun


def work(server: Server, seconds: float) -> None:
    """PUTs and GETs of 1 KB at 32 connections."""
    signer = server.presigner()
    buckets.make(server, BUCKET)
    for method, body in (("PUT", BODY), ("GET", None)):
        requests = [signer.request(method, f"{BUCKET}/{number:05d}") for number in range(1000)]
        wrk.run(server.url, requests, connections=CONNECTIONS, seconds=seconds, body=body)


def measured_memory(server: Server, seconds: float) -> Iterator[Figure]:
    """What it takes after two quiet seconds, and after load."""
    time.sleep(2)
    idle = memory_of(server)
    work(server, seconds)
    cases = ("resident, idle", "proportional, idle", "resident, after load", "proportional, after load")
    for case, value in zip(cases, (*idle, *memory_of(server)), strict=True):
        yield Figure(case, server.name, value, "MiB")


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__)
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args()
    with Bench(options, start=False) as bench:
        times: dict[str, list[float]] = {server.name: [] for server in bench.servers}
        memories: list[Figure] = []
        for server in bench.servers:
            bench.will_end(server)
        for number in range(1, options.starts + 1):
            for server in bench.servers:
                times[server.name].append(started(server))
                if number == options.starts:
                    memories += measured_memory(server, options.seconds)
                server.stop()
        for name, (first, *later) in times.items():
            bench.figure(Figure("first start, empty disk", name, first, "s"))
            if later:
                bench.figure(Figure("start, best", name, min(later), "s", spread=(min(later), max(later))))
        for figure in memories:
            bench.figure(figure)
        servers = [server.name for server in bench.servers]
        found = bench.found()
        bench.notes.append(
            "Each cell: value · **how many times as much that is as the first server takes**. Load is "
            f"{options.seconds:g} s each of PUT and GET of 1 KB at {CONNECTIONS} connections."
        )
        report.write(
            bench, "startup", "Start and memory", report.table(found, servers, generator=False), found
        )


if __name__ == "__main__":
    main()
