"""The conformance kit, the smoke test and ``moving`` through every gateway: ``make test-gateways``.

``python tests/gateways/matrix.py [GATEWAY ...] [-k EXPR] [--output FOLDER]``: a gateway is a name of
``upstreams.py``, by default all. Exit code 1 where anything is other than ``pins.py`` says. Every result
is written to FOLDER/GATEWAY.json, and what the gateway logged to FOLDER/GATEWAY.log.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("gateways", "e2e", "emulators", "smoke")]

from moving import moving  # noqa: E402
from pins import PINS  # noqa: E402
from runs import conformance, smoke  # noqa: E402
from upstreams import UPSTREAMS, gateway  # noqa: E402
from verdict import Verdict, judge, reasons, side_by_side  # noqa: E402

REPORTS = Path(__file__).parents[2] / "build/gateways"


def run(name: str, output: Path, expression: str | None) -> Verdict:
    """One gateway, from the start of its upstream to the verdict."""
    results, trouble = [], ""
    directory = Path(tempfile.mkdtemp(prefix="bleepstore-gateways-"))
    try:
        with gateway(name, directory) as server:
            report = conformance(server.url, expression)
            results += report.results
            trouble = report.stopped
            if report.left_behind:
                trouble += f" buckets left behind: {report.left_behind}"
            if expression is None:
                results += smoke(server.url)
        if expression is None:
            results += moving(name, directory / "moving")
    except Exception as error:
        trouble += f" {type(error).__name__}: {error}"
    finally:
        log = directory / "gateway" / "server.log"
        if log.exists():
            shutil.copy(log, output / f"{name}.log")
        shutil.rmtree(directory, ignore_errors=True)
    verdict = judge(name, results, PINS.get(name, {}), whole=expression is None)
    verdict.trouble = trouble.strip()
    (output / f"{name}.json").write_text(json.dumps(asdict(verdict), indent=1))
    return verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("gateways", nargs="*", metavar="GATEWAY", help=", ".join(UPSTREAMS))
    parser.add_argument(
        "-k", dest="expression", metavar="EXPR", help="only these tests of the kit, and nothing else"
    )
    parser.add_argument("--output", type=Path, default=REPORTS, metavar="FOLDER")
    options = parser.parse_args()
    if unknown := [name for name in options.gateways if name not in UPSTREAMS]:
        parser.error(f"no gateway is called {unknown[0]}: {', '.join(UPSTREAMS)}")
    options.output.mkdir(parents=True, exist_ok=True)
    verdicts = []
    for name in options.gateways or UPSTREAMS:
        began = time.monotonic()
        verdict = run(name, options.output, options.expression)
        verdicts.append(verdict)
        print(
            f"{name}: {'RED' if verdict.red else 'as pinned'} after {time.monotonic() - began:.0f} s",
            flush=True,
        )
        print(*reasons(verdict), sep="\n", flush=True)
    print("", *side_by_side(verdicts), sep="\n")
    return int(any(verdict.red for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
