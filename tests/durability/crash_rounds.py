"""Rounds in which a server works, is killed at some moment, starts again, and is compared with the model."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from blob_files import check_accounted, check_whole, swept
from s3_client import S3Client
from server_process import PATIENCE
from store_model import BUCKET, Model, survey
from warm_server import Warm, WarmServer
from workload import SIZES, Worker, prepare

WRITERS = 6
LIFE = 0.5
"""Seconds that a server works at most before it is killed."""


class Crashes:
    """One data directory, and all that was done to it."""

    def __init__(
        self,
        directory: Path,
        warm: Warm,
        *,
        workers: int,
        seed: str,
        settings: Mapping[str, object] | None = None,
        sizes: Sequence[int] = SIZES,
    ) -> None:
        """``settings``: more of the configuration. ``sizes``: of bodies."""
        self._random = random.Random(f"{seed} {workers}")
        settings = {"upkeep": {"interval": 1}, **(settings or {})}
        self._server = WarmServer(warm, directory, workers=workers, settings=settings)
        self._data = directory / "data"
        self._model = Model()
        self._workers = [Worker(f"w{n}", self._model, seed, sizes) for n in range(WRITERS)]
        self._pause = threading.Event()
        self.acknowledged = 0
        """Writes, in all rounds."""

    @property
    def done(self) -> str:
        """In words."""
        return f"{self.acknowledged} acknowledged writes"

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
            self._kill()
        self._start()
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
                self._live(life)
            finally:
                self._model.excused = self._server.workers > 1  # they do not die in the same instant
                self._kill()
                ended.set()
        for one in running:
            one.result()

    def _live(self, seconds: float) -> None:
        """Until it is killed."""
        self._pause.wait(seconds)

    def _kill(self) -> None:
        """All processes at once."""
        self._server.kill()

    def _kill_one(self) -> None:
        assert self._server.process is not None
        pid = self._server.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        with suppress(ProcessLookupError):
            os.kill(int(self._random.choice(workers)), signal.SIGKILL)

    def _start(self) -> None:
        """Again, on what was left."""
        self._server.start()

    def check(self) -> None:
        """Compare what the server holds with what it may hold. Raises Violation."""
        with S3Client(self._server.port) as client:
            found = survey(client)
            self._model.check(found)
            self.acknowledged += self._model.acknowledged()
            self._check_accounted()
            for item in [item for item in found if item[0] == "upload" and item not in self._model.writes]:
                # It began without that anybody heard of it: nobody will go on with it.
                answer = client.ask("DELETE", f"/{BUCKET}/{item[1]}?uploadId={item[2]}")
                assert answer.status == 204
                for gone in [other for other in found if other[1:3] == item[1:]]:
                    del found[gone]
        self._model.settle(found)

    def _check_accounted(self) -> None:
        """Each thing that is stored is somebody's. Raises Violation."""
        check_accounted(self._data)

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
