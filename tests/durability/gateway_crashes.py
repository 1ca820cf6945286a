"""Crashes of a gateway: the same rounds, in front of an upstream that lives on.

Beside random moments there are chosen ones (``kill_points``). After each start every intent must be
resolved, by upkeep or by the next request for its key; then upstream holds exactly the objects that
rows name, none of them was adopted, since nobody else writes there, and after a sweep nothing is
left of what was cut off.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import gcp
from crash_rounds import Crashes, wait_until
from faulty_http import ask
from kill_points import KillPoints, Point, before
from s3_client import S3Client
from server_process import PATIENCE
from store_model import BUCKET, Violation, object_of, read_or_none
from upstream_objects import Upstream, check_accounted, leftovers, rows
from upstreams import CLOUDS, UPSTREAMS
from warm_server import Warm
from workload import PART, SIZES

ALIASES = {"aws": "aws(seaweedfs)", "gcp": "gcp(fake-gcs)", "azure": "azure(azurite)"}
"""What stands for a cloud where none is named."""
SMALL = {"aws": {"part_mib": 5}, "gcp": {"buffer_mib": 1}, "azure": {"block_mib": 1}}
"""Settings with which a body need not be large to go up in pieces."""
BODIES = (*SIZES, *SIZES, *SIZES, PART + 100_000)
ENDPOINTS = {"aws": "endpoint_url", "gcp": "endpoint", "azure": "endpoint"}
MODULES = {
    "aws": ("bleepstore_backend_aws.backend", "boto3"),
    "gcp": ("bleepstore_backend_gcp.backend", "google.cloud.storage"),
    "azure": ("bleepstore_backend_azure.backend",),
}
MOMENTS = (Point.PUBLISHED, Point.ANNOUNCED, None, Point.PUBLISHED, Point.NOTED)
"""By turns; ``None`` is any."""
WITHOUT_UPKEEP = """
import bleepstore.upkeep.rounds as rounds

async def nothing(services):
    return 0

rounds.resolve_intents = nothing
"""
IMPATIENT = {
    "aws": "import bleepstore_backend_aws.uploading as it; it.LEASE_SECONDS = 0",
    "gcp": "import bleepstore_backend_gcp.backend as it; it.STALE_SECONDS = 0",
    "azure": "import bleepstore_backend_azure.backend as it; it.STALE_SECONDS = 0",
}
"""What was cut off is given up at once, and not after the hours in which a slow write may live."""


class GatewayCrashes(Crashes):
    """A gateway and its upstream, and all that was done to it."""

    def __init__(
        self, directory: Path, warm: Warm, upstream: Upstream, points: KillPoints, **more: Any
    ) -> None:
        super().__init__(directory, warm, sizes=BODIES, **more)
        self._upstream = upstream
        self._points = points
        self._backend: str = self._server.settings["storage"]["backend"]  # type: ignore[index]
        self._model.one_part_a_number = self._backend == "aws"
        self._moments = cycle(MOMENTS)
        self.doubtful = 0
        """Writes of which nobody knew after a kill whether they had happened."""

    @property
    def done(self) -> str:
        """In words."""
        kills = ", ".join(f"{self.fallen[point]} kills {point.value}" for point in Point)
        return f"{super().done}, {kills}, {self.doubtful} doubtful writes"

    @property
    def fallen(self) -> Counter[Point]:
        """How often it was killed at which chosen moment."""
        return self._points.fallen

    def _live(self, seconds: float) -> None:
        """Until a chosen moment, or a random one."""
        point = next(self._moments)
        if point is None:
            super()._live(seconds)
            return
        self._points.aim(point, self._random.randint(1, 20), self._kill_all)
        assert self._points.fell.wait(PATIENCE), f"nothing came that is {point.value}"

    def _kill_all(self) -> None:
        self._model.excused = self._server.workers > 1
        if (process := self._server.process) is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _kill(self) -> None:
        super()._kill()
        self._points.drain()

    def _start(self) -> None:
        """Start, and go on when nothing is doubtful any more."""
        found = rows(self._data).intents
        self.doubtful += len(found)
        if found and self._random.random() < 0.3:
            self._server.prelude = WITHOUT_UPKEEP
            super()._start()
            with S3Client(self._server.port) as client:
                for key in found:
                    self._ask_for(client, key)
            self._check_log()
            self._kill()
            self._server.prelude = ""
        super()._start()
        wait_until(lambda: not rows(self._data).intents)

    def _ask_for(self, client: S3Client, key: str) -> None:
        """The next request for a key whose last write is doubtful. Raises Violation."""
        way = self._random.choice(("PUT", "DELETE", "GET"))
        if way == "GET":
            found, possible = read_or_none(client, key), self._model.possible(("object", key))
            if found not in possible:
                raise Violation(f"{key} is {found} after a crash, and may be {possible}")
            return
        body, note = self._random.randbytes(self._random.choice(SIZES)), str(self._random.random())
        new = object_of(body, note) if way == "PUT" else None
        write = self._model.ask({("object", key): new})
        sent = (body, {"x-amz-meta-note": note}) if way == "PUT" else (b"", {})
        answer = client.ask(way, f"/{BUCKET}/{key}", *sent)
        if answer.status != (200 if way == "PUT" else 204):
            raise Violation(f"{way} {key}, which was doubtful: {answer.status} {answer.code}")
        self._model.acknowledge(write, answer)
        if key in rows(self._data).intents:
            raise Violation(f"{key} is doubtful after a {way}")

    def _check_accounted(self) -> None:
        check_accounted(self._upstream, self._data, BUCKET)
        self._check_log()

    def _check_log(self) -> None:
        said = self._server.log.read_text()
        if "is adopted" in said:
            raise Violation(f"what nobody else has changed was adopted:\n{said}")

    def check_swept(self) -> None:
        """Nothing is left of what was cut off, once no upload is open. Raises."""
        with S3Client(self._server.port) as client:
            for item in self._model.open_uploads():
                parts = [other for other in self._model.writes if other[:3] == ("part", *item[1:])]
                write = self._model.ask(dict.fromkeys((item, *parts)))
                answer = client.ask("DELETE", f"/{BUCKET}/{item[1]}?uploadId={item[2]}")
                assert answer.status == 204, answer
                self._model.acknowledge(write, answer)
        self._kill()
        # Alone: nothing is too young to be given up, not even what another worker begins.
        self._server.prelude, workers = IMPATIENT[self._backend], self._server.workers
        self._server.workers = 1
        super()._start()
        left = ""

        def swept() -> bool:
            nonlocal left
            left = leftovers(self._upstream, self._data)
            return not left

        try:
            wait_until(swept)
        except AssertionError:
            raise Violation(left) from None
        self._check_accounted()
        self._kill()
        self._server.prelude, self._server.workers = "", workers
        super()._start()


@contextmanager
def gateway_crashes(
    name: str, directory: Path, *, workers: int, seed: str, prelude: str = ""
) -> Iterator[GatewayCrashes]:
    """Start an upstream of this name (see ``tests/gateways/upstreams.py``); its gateway is not started."""
    name = ALIASES.get(name, name)
    with UPSTREAMS[name](directory / "upstream") as started:
        backend = str(started.storage["backend"])
        section: dict[str, Any] = {**SMALL[backend], **started.storage[backend]}  # type: ignore[dict-item]
        upstream = Upstream({**started.storage, backend: section}, started.environ)
        place = f"{section['prefix']}{BUCKET}/"
        behind = gcp.ask if name == ALIASES["gcp"] else ask
        with before(section[ENDPOINTS[backend]], place, behind) as points:
            there = {**section, ENDPOINTS[backend]: points.endpoint}
            settings = {
                "storage": {**started.storage, backend: there},
                "plugins": {"disabled": [cloud for cloud in CLOUDS if cloud != backend]},
            }
            warm = Warm(started.environ, prelude, MODULES[backend])
            crashes = GatewayCrashes(
                directory, warm, upstream, points, workers=workers, seed=seed, settings=settings
            )
            try:
                yield crashes
            finally:
                crashes.kill()
                warm.close()
                upstream.close()
