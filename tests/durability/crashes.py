#!/usr/bin/env python3
"""Rounds of work in which the server is killed at random points, and everything is checked after.

    python tests/durability/crashes.py [--backend NAME] [--rounds N] [--workers 1 2] [--seed TEXT]

A round starts the server again, compares all that it holds with the model, works for a moment and kills
all its processes with SIGKILL; sometimes one worker before the others, sometimes while it starts. Now
and then, and at the end, the sweep must leave nothing that no row names.

``--backend aws``, ``gcp``, ``azure`` or a name of ``tests/gateways/upstreams.py``: a gateway in front of
an emulator that lives on. Most kills then come at chosen requests, before upstream hears of them or after
it has done them and before the gateway knows (``kill_points``); what is checked is in
``gateway_crashes``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / name) for name in ("durability", "e2e", "wire", "emulators", "gateways")]

from crash_rounds import Crashes  # noqa: E402
from warm_server import Warm  # noqa: E402

LOCAL = "local"
SWEEP = 25
"""Rounds between two looks at what the sweep left."""


@contextmanager
def crashes_of(
    backend: str, directory: Path, *, workers: int, seed: str, prelude: str = ""
) -> Iterator[Crashes]:
    """A server to be killed, not started yet, with what stands behind it."""
    if backend != LOCAL:
        from gateway_crashes import gateway_crashes

        with gateway_crashes(backend, directory, workers=workers, seed=seed, prelude=prelude) as crashes:
            yield crashes
        return
    warm = Warm(prelude=prelude)
    crashes = Crashes(directory, warm, workers=workers, seed=seed)
    try:
        yield crashes
    finally:
        crashes.kill()
        warm.close()


def run(
    directory: Path,
    *,
    workers: int,
    rounds: int,
    seed: str,
    say: Callable[[str], object] = lambda line: None,
    prelude: str = "",
    backend: str = LOCAL,
) -> Crashes:
    """So many rounds; returns what was done. Raises Violation.

    ``prelude`` is run in the server before it starts.
    """
    with crashes_of(backend, directory, workers=workers, seed=seed, prelude=prelude) as crashes:
        crashes.begin()
        for number in range(1, rounds + 1):
            crashes.round()
            if number % SWEEP == 0:
                crashes.check_swept()
                say(f"{backend}, workers={workers}: {number} rounds, {crashes.done}")
        crashes.end()
        return crashes


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Kill a server again and again, and look what is left.")
    parser.add_argument("--backend", default=LOCAL, help="local, aws, gcp, azure, or an upstream by name")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--folder", type=Path, help="where the data directories are made, and kept")
    options = parser.parse_args(arguments)
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
            backend=options.backend,
        ).done
        print(
            f"{options.backend}, workers={workers}: {done}, nothing lost, {time.monotonic() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
