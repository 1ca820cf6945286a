#!/usr/bin/env python3
"""The front page of the benchmarks: what they show in one table, and what was promised.

    python tests/performance/summary.py [FOLDER]

Reads the JSON that the programs left in the folder and writes ``README.md`` beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import ROOT
from figures import Figure
from report import table

PROGRAMS = ("throughput", "latency", "multipart", "listing", "startup")
HEADLINES = ("1 KB, ", "LIST", "64 KB, 32", "1 MB, 32", "100 MB, 1 ")
RATIOS = (
    ("GET 1 KB, 32 conn.", 3.0),
    ("PUT 1 KB, 32 conn.", 2.0),
    ("DELETE 1 KB, 32 conn.", 1.5),
    ("LIST 1,000 keys, 32 conn.", 3.0),
    ("GET 1 KB, 1 conn.", 3.0),
    ("PUT 1 KB, 1 conn.", 1.5),
    ("GET 64 KB, 32 conn.", 2.0),
    ("PUT 64 KB, 32 conn.", 1.0),
    ("GET 1 MB, 32 conn.", 2.0),
    ("PUT 1 MB, 32 conn.", 1.5),
    ("PUT 100 MB, 1 conn.", 1.7),
    ("GET 100 MB, 1 conn.", 1.5),
    ("up, ", 1.7),
    ("down, ", 1.5),
)
"""Beginning of a case, and how many times as good as SeaweedFS the first server is to be."""
RIVAL = "seaweedfs"


@dataclass(frozen=True)
class Promise:
    """One line of what the benchmarks are to show."""

    what: str
    bound: str
    found: str
    kept: bool


class Found:
    """The figures of one program's JSON."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / f"{name}.json"
        self.there = path.exists()
        content = json.loads(path.read_text()) if self.there else {"figures": [], "servers": []}
        self.content = content
        self.figures = [Figure(**figure) for figure in content["figures"]]
        self.servers = [server["name"] for server in content["servers"]]

    def get(self, case: str, server: str | None = None) -> Figure | None:
        """The figure of the case that begins so, by default the first server's."""
        wanted = server or (self.servers[0] if self.servers else "")
        return next((f for f in self.figures if f.case.startswith(case) and f.server == wanted), None)


def promises(found: dict[str, Found]) -> Iterator[Promise]:
    """Everything that was promised and measured."""
    for case, bound in RATIOS:
        part = found["multipart" if case in ("up, ", "down, ") else "throughput"]
        ours, theirs = part.get(case), part.get(case, RIVAL)
        ratio = ours.ahead(theirs) if ours and theirs else None
        if ours and ratio is not None:
            yield Promise(ours.case, f"at least {bound:g}x {RIVAL}", f"{ratio:.2f}x", ratio >= bound)
    get = found["throughput"].get("GET 1 KB, 32 conn.")
    if get and get.cpu:
        yield Promise(f"{get.case}, server CPU", "under 150 µs", f"{get.cpu:.0f} µs", get.cpu < 150)
    for part, case, limit in (
        ("throughput", "PUT 100 MB, 1 ", "PUT"),
        ("throughput", "GET 100 MB, 1 ", "GET"),
        ("multipart", "up, ", "PUT"),
        ("multipart", "down, ", "GET"),
    ):
        ours, ceiling = found[part].get(case), found[part].get(f"ceiling: {limit}", "ceiling")
        if ours and ceiling and ours.value:
            times = ceiling.value / ours.value
            yield Promise(f"{ours.case}, of the ceiling", "within 1.5x", f"{times:.2f}x", times <= 1.5)
    yield from _latency(found["latency"])
    listing = found["listing"]
    for figure in listing.figures:
        if figure.server == (listing.servers or [""])[0] and figure.case.startswith("prefixes"):
            page = figure.latency["50"]
            yield Promise(
                f"{figure.case}: a page at {figure.server}", "under 15 ms", f"{page:.1f} ms", page < 15
            )
    for case, limit, unit in (("start, best", 0.5, "s"), ("resident, idle", 45, "MiB")):
        if ours := found["startup"].get(case):
            yield Promise(case, f"under {limit:g} {unit}", f"{ours.value:.3g} {unit}", ours.value < limit)


def _latency(part: Found) -> Iterator[Promise]:
    for case in ("PUT 1 KB, 1,000", "GET 1 KB, 1,000"):
        if ours := part.get(case):
            yield Promise(ours.case, "no errors", f"{ours.errors} errors", not ours.errors)
            yield Promise(
                f"{ours.case}, memory", "under 200 MiB", f"{ours.peak:.0f} MiB", 0 < ours.peak < 200
            )


def page(folder: Path) -> str:
    """The text of README.md."""
    found = {name: Found(folder, name) for name in PROGRAMS}
    lines = ["# Benchmarks", "", "    make bench", ""]
    facts = next((part.content["machine"] for part in found.values() if part.there), {})
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    seen: dict[str, dict[str, str]] = {}
    for part in found.values():
        seen |= {server["name"]: server for server in part.content["servers"] if " at " not in server["name"]}
    lines += [f"- {s['name']} {s['version']}; a 200 promises {s['durability']}" for s in seen.values()]
    throughput = found["throughput"]
    rows = [
        figure
        for figure in throughput.figures
        if figure.server in throughput.servers and any(word in figure.case for word in HEADLINES)
    ]
    if rows:
        lines += [
            "",
            "Value · server CPU a request · **how many times as good the first server is**:",
            "",
            table(rows, throughput.servers, generator=False),
        ]
    lines += ["", "## What it is to show", "", "| | bound | found | |", "|---|---|---|---|"]
    lines += [
        f"| {p.what} | {p.bound} | {p.found} | {'yes' if p.kept else '**no**'} |" for p in promises(found)
    ]
    links = [f"[{name}]({name}.md) ([JSON]({name}.json))" for name, part in found.items() if part.there]
    lines += ["", "All figures: " + ", ".join(links) + ".", ""]
    if throughput.there:
        lines += ["![Throughput](throughput.svg)", ""]
    return "\n".join(lines)


def main() -> None:
    """Write it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/benchmarks"
    text = page(folder)
    (folder / "README.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
