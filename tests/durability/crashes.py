#!/usr/bin/env python3
"""Rounds of work in which the server is killed at random points, and everything is checked after.

    python tests/durability/crashes.py [--rounds N] [--workers 1 2] [--seed TEXT] [--folder DIR]

A round starts the server again, compares all that it holds with the model, works for a moment and kills
all its processes with SIGKILL; sometimes one worker before the others, sometimes while it starts. Now
and then, and at the end, the sweep must leave no file that no row names.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / name) for name in ("durability", "e2e", "wire")]

from blob_files import check_accounted, check_whole, swept  # noqa: E402
from s3_client import S3Client  # noqa: E402
from server_process import PATIENCE  # noqa: E402
from store_model import BUCKET, Model, survey  # noqa: E402
from warm_server import Warm, WarmServer  # noqa: E402
from workload import Worker, prepare  # noqa: E402

WRITERS = 6
LIFE = 0.5
"""Seconds that a server works at most before it is killed."""
SWEEP = 25
"""Rounds between two looks at what the sweep left."""


class Crashes:
    """One data directory, and all that was done to it."""

    def __init__(self, directory: Path, warm: Warm, *, workers: int, seed: str) -> None:
        self._random = random.Random(f"{seed} {workers}")
        self._server = WarmServer(warm, directory, workers=workers, settings={"upkeep": {"interval": 1}})
        self._data = directory / "data"
        self._model = Model()
        self._workers = [Worker(f"w{n}", self._model, seed) for n in range(WRITERS)]
        self._pause = threading.Event()
        self.acknowledged = 0
        """Writes, in all rounds."""

    def begin(self) -> None:
        """The first start."""
        with S3Client(self._server.start().port) as client:
            prepare(client, self._model)

    def round(self) -> None:
        """Work, a kill, a start, and a check. Raises Violation."""
        self._work()
        if self._random.random() < 0.15:
            self._server.launch()
            self._pause.wait(self._random.uniform(0, 0.3))
            self._server.kill()
        self._server.start()
        self.check()

    def _work(self) -> None:
        ended = threading.Event()
        with ThreadPoolExecutor(WRITERS) as pool:
            running = [pool.submit(worker.run, self._server.port, ended) for worker in self._workers]
            try:
                life = self._random.uniform(0.01, LIFE)
                if self._server.workers > 1 and self._random.random() < 0.3:
                    self._pause.wait(life)
                    self._model.excused = True
                    self._kill_one()
                    life = self._random.uniform(0.0, LIFE)
                self._pause.wait(life)
            finally:
                self._model.excused = self._server.workers > 1  # they do not die in the same instant
                self._server.kill()
                ended.set()
        for one in running:
            one.result()

    def _kill_one(self) -> None:
        assert self._server.process is not None
        pid = self._server.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        with suppress(ProcessLookupError):
            os.kill(int(self._random.choice(workers)), signal.SIGKILL)

    def check(self) -> None:
        """Compare what the server holds with what it may hold. Raises Violation."""
        with S3Client(self._server.port) as client:
            found = survey(client)
            self._model.check(found)
            self.acknowledged += self._model.acknowledged()
            check_accounted(self._data)
            for item in [item for item in found if item[0] == "upload" and item not in self._model.writes]:
                # It began without that anybody heard of it: nobody will go on with it.
                answer = client.ask("DELETE", f"/{BUCKET}/{item[1]}?uploadId={item[2]}")
                assert answer.status == 204
                del found[item]
        self._model.settle(found)

    def check_swept(self) -> None:
        """No orphan is left, and every blob that a row names is whole. Raises."""
        wait_until(lambda: swept(self._data))
        check_whole(self._data)

    def end(self) -> None:
        """The last look, and a stop in order."""
        self.check_swept()
        assert self._server.stop() == 0

    def kill(self) -> None:
        """Whatever still runs."""
        self._server.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, and not for ever."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        pause.wait(0.05)


def run(
    directory: Path,
    *,
    workers: int,
    rounds: int,
    seed: str,
    say: Callable[[str], object] = lambda line: None,
    prelude: str = "",
) -> int:
    """So many rounds; returns the number of acknowledged writes. Raises Violation.

    ``prelude`` is run in the server before it starts.
    """
    warm = Warm(prelude=prelude)
    crashes = Crashes(directory, warm, workers=workers, seed=seed)
    try:
        crashes.begin()
        for number in range(1, rounds + 1):
            crashes.round()
            if number % SWEEP == 0:
                crashes.check_swept()
                say(f"workers={workers} rounds={number} acknowledged={crashes.acknowledged}")
        crashes.end()
    finally:
        crashes.kill()
        warm.close()
    return crashes.acknowledged


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Kill a server again and again, and look what is left.")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--folder", type=Path, help="where the data directories are made, and kept")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="bleepstore-crash-"))
    print(f"seed {options.seed}, in {folder}", flush=True)
    for workers in options.workers:
        began = time.monotonic()
        done = run(
            folder / f"workers-{workers}",
            workers=workers,
            rounds=options.rounds // len(options.workers),
            seed=options.seed,
            say=lambda line: print(line, flush=True),
        )
        print(
            f"workers={workers}: {done} acknowledged writes, nothing lost, {time.monotonic() - began:.0f} s"
        )


if __name__ == "__main__":
    main()
