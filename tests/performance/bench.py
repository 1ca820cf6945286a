"""One benchmark: its options, its servers on one disk, and runs that alternate between them."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import buckets
import machine
import peers
import wrk
from figures import Figure, Run, taken_together
from load import Load
from processes import Peak, cpu_seconds, resident
from servers import Given, Server, remove

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "benchmark"
SETTLE = 20.0
"""Seconds that servers may take to come to rest before a run."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What every program takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--servers",
        nargs="*",
        default=["bleepstore", "seaweedfs", "rclone", "moto"],
        help="the first is the one that ratios speak of (servers.py says what names mean)",
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=URL[,ACCESS,SECRET]",
        help="an endpoint that runs",
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often each server has its turn")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one run")
    parser.add_argument(
        "--quick", action="store_true", help="fewer cases and one round, to see that it works"
    )
    parser.add_argument(
        "--directory", type=Path, help="where the servers' data goes (the system's temporary one)"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "docs/benchmarks", help="folder of the report")
    return parser


class Bench:
    """The servers of a benchmark, running, and what was measured."""

    def __init__(self, options: argparse.Namespace, *, start: bool = True) -> None:
        machine.allow_open_files()
        if options.quick:
            options.rounds = 1
        self.options = options
        self.runs: list[Run] = []
        self.figures: list[Figure] = []
        self.notes: list[str] = []
        self._start = start
        self._stack = ExitStack()
        folder = tempfile.TemporaryDirectory(
            prefix="bleepstore-bench-", dir=options.directory, ignore_cleanup_errors=True
        )
        self.directory = Path(self._stack.enter_context(folder))
        self.machine = machine.describe(self.directory)
        self.servers: list[Server] = [peers.server(name, self.directory) for name in options.servers]
        self.servers += [peers.given(text, self.directory) for text in options.peer]
        if len({server.name for server in self.servers}) != len(self.servers):
            raise SystemExit("two servers have one name")

    def __enter__(self) -> Bench:
        try:
            for server in self.servers if self._start else ():
                self.start(server)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start(self, server: Server) -> None:
        """Start a server that ends with the benchmark."""
        self.will_end(server)
        server.start()

    def will_end(self, server: Server) -> None:
        """Have it ended with the benchmark, whoever starts it."""
        self._stack.callback(remove, server.directory)
        self._stack.callback(server.stop)
        if isinstance(server, Given):
            self._stack.callback(buckets.clear, server)

    def turns(self) -> Iterator[int]:
        """The rounds: in each, every case goes through all servers (A B A B)."""
        yield from range(self.options.rounds)

    def run(
        self, server: Server, case: str, round_: int, load: Callable[[], Load], *, size: int | None = None
    ) -> Load:
        """Run one load, with what the server spends meanwhile."""
        os.sync()  # nobody pays for what the one before left to be written
        self.settle()
        pids = server.pids()
        before = cpu_seconds(pids)
        with Peak(lambda: resident(pids)) as peak:
            done = load()
        cpu = cpu_seconds(pids) - before if pids else None
        self.runs.append(Run(case, server.name, round_, done, cpu, peak.highest, size))
        rate = done.requests / done.seconds if done.seconds else 0.0
        cost = f"{1e6 * cpu / done.requests:7.0f} us" if cpu is not None and done.requests else ""
        wrong = f"  {done.errors} errors {done.told[:200]!r}" if done.errors else ""
        print(f"{round_} {case:34} {server.name:14} {rate:9.1f}/s {cost}{wrong}", file=sys.stderr, flush=True)
        return done

    def settle(self) -> None:
        """Wait until the servers have done what a run that ended left them with, but not for ever."""
        pids = [pid for server in self.servers for pid in server.pids()]
        end = time.monotonic() + SETTLE
        while time.monotonic() < end:
            before = cpu_seconds(pids)
            time.sleep(0.1)
            if cpu_seconds(pids) - before < 0.03:
                return

    def figure(self, figure: Figure) -> None:
        """Something that is no rate of requests."""
        self.figures.append(figure)
        print(
            f"  {figure.case:34} {figure.server:14} {figure.value:.4g} {figure.unit}",
            file=sys.stderr,
            flush=True,
        )

    def found(self) -> list[Figure]:
        """All figures."""
        return [*taken_together(self.runs, os.cpu_count() or 1), *self.figures]

    def facts(self) -> dict[str, str]:
        """Machine and versions, for the report."""
        return {**self.machine, "load generator": wrk.version() + " and processes of Python"}

    @staticmethod
    def command() -> str:
        """The command line of this run, without secrets."""
        words = [re.sub(r"(=https?://[^,]*,[^,]*),.*", r"\1,SECRET", word) for word in sys.argv[1:]]
        return shlex.join(["python", f"tests/performance/{Path(sys.argv[0]).name}", *words])
