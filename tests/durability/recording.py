#!/usr/bin/env python3
"""A server's work with all that it did to its files, and states that a power cut would have left.

    python tests/durability/recording.py [--cuts N] [--workers 1 2] [--seed TEXT]

On each state a server is started, which must hold every write whose reply was sent before the cut.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / name) for name in ("durability", "e2e", "wire")]

from blob_files import check_whole  # noqa: E402
from crash_rounds import wait_until  # noqa: E402
from disk_log import DiskLog, Entry, Kind  # noqa: E402
from power_cut import Chance, Disk, KeepAll, KeepBytes, KeepMetadata, KeepNames, Luck  # noqa: E402
from s3_client import S3Client  # noqa: E402
from server_process import ServerProcess  # noqa: E402
from store_model import BUCKET, Model, read, survey  # noqa: E402
from warm_server import Warm, WarmServer  # noqa: E402
from workload import Worker, prepare  # noqa: E402

WRITERS = 6
SETTINGS = {"upkeep": {"interval": 1}}


@dataclass
class Recording:
    """What was asked and answered, and what happened on the disk."""

    model: Model
    entries: list[Entry]
    root: Path
    """What was left without a power cut."""


def record(
    folder: Path, *, workers: int = 1, lives: int = 2, steps: int = 40, seed: str = "", prelude: str = ""
) -> Recording:
    """So many lives of a server, from its first start on; ``prelude`` is run in it before that."""
    root = folder / "server"
    root.mkdir(parents=True)
    log = DiskLog(folder, root)
    warm = Warm(log.environment, prelude)
    server = WarmServer(warm, root, workers=workers, settings=SETTINGS)
    model = Model()
    writers = [Worker(f"w{n}", model, seed) for n in range(WRITERS)]
    try:
        for life in range(lives):
            server.start()
            if life == 0:
                with S3Client(server.port) as client:
                    prepare(client, model)
            with ThreadPoolExecutor(WRITERS) as pool:
                running = [pool.submit(w.run, server.port, threading.Event(), steps) for w in writers]
            for one in running:
                one.result()
            assert server.stop() == 0
    finally:
        server.kill()
        warm.close()
    return Recording(model, log.entries(), root)


@dataclass
class Cut:
    """A moment and what was kept."""

    at: int
    luck: Luck

    def __str__(self) -> str:
        return f"{type(self.luck).__name__} after {self.at} entries"


def cuts(recording: Recording, number: int, seed: str) -> Iterator[Cut]:
    """So many, in order: half of them at replies, where most is promised and least written back."""
    chance = random.Random(seed)
    replies = [n + 1 for n, entry in enumerate(recording.entries) if entry.kind is Kind.REPLY]
    points = [
        chance.choice(replies) if n % 2 else chance.randint(0, len(recording.entries)) for n in range(number)
    ]
    kinds = (Luck, KeepNames, KeepBytes, KeepMetadata, KeepAll)
    for n, at in enumerate(sorted(points)):
        chosen = chance.randrange(2 * len(kinds))
        yield Cut(at, kinds[chosen]() if chosen < len(kinds) else Chance(f"{seed} {n}"))


def check_cuts(recording: Recording, warm: Warm, folder: Path, cuts: Iterable[Cut]) -> int:
    """Start a server on each of these states, and look; returns their number. Raises Violation."""
    disk, at, count = Disk(), 0, 0
    for cut in cuts:
        disk.play(recording.entries[at : cut.at])
        at = cut.at
        root = folder / f"cut-{count}"
        disk.cut(root, cut.luck)
        try:
            server = WarmServer(warm, root, settings=SETTINGS)
            check_state(recording.model.at(disk.replied), server, sweep=count % 10 == 9)
        except Exception as error:
            error.add_note(f"{cut}, seen in {root}")
            raise
        shutil.rmtree(root)
        count += 1
    return count


def check_state(model: Model, server: ServerProcess, *, sweep: bool) -> None:
    """The server starts, holds what it must and nothing else, and takes more. Raises Violation.

    ``sweep``: look again when upkeep has judged what the processes before the cut had in flight.
    """
    data = server.directory / "data"
    try:
        with S3Client(server.start().port) as client:
            begun = client.ask("HEAD", f"/{BUCKET}").status == 200
            model.check(survey(client) if begun else {})
            check_whole(data)
            if sweep:
                wait_until(lambda: len(list((data / "objects" / "journal").iterdir())) == 1)
                model.check(survey(client) if begun else {})
                check_whole(data)
            for size in (100, 100_000) if begun else ():
                answer = client.ask("PUT", f"/{BUCKET}/after-{size}", bytes(size))
                assert answer.status == 200, answer
                read(client, f"after-{size}")
    finally:
        server.kill()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Cut the power at many moments, and look what is left.")
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", default=str(time.time_ns()))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bleepstore-power-"))
    print(f"seed {options.seed}, in {folder}", flush=True)
    warm = Warm()
    try:
        for workers in options.workers:
            recording = record(folder / f"workers-{workers}", workers=workers, seed=options.seed)
            number = options.cuts // len(options.workers)
            done = check_cuts(recording, warm, folder, cuts(recording, number, options.seed))
            print(f"workers={workers}: {done} power cuts, nothing lost", flush=True)
    finally:
        warm.close()


if __name__ == "__main__":
    main()
