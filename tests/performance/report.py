"""The report of one benchmark: a page of Markdown with ratios, JSON with everything, and the plot."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence

from bench import Bench
from figures import Figure
from plot import svg, value_text


def cell(figure: Figure | None, first: Figure | None) -> str:
    """Value, CPU a request, and how many times as good the first server is."""
    if figure is None:
        return ""
    if not figure.value:
        if not figure.errors:
            return "no answer in time"
        return f"failed: {figure.told.splitlines()[0] if figure.told else f'{figure.errors} errors'}"
    words = [value_text(figure)]
    if figure.cpu is not None:
        words.append(f"{figure.cpu:,.0f} µs" if figure.cpu < 1e5 else f"{figure.cpu / 1e6:.2g} s CPU")
    ratio = first.ahead(figure) if first is not None and first is not figure else None
    if ratio is not None and first is not None and first.value:
        words.append(f"**{ratio:.2f}x**")
    if figure.errors:
        words.append(f"{figure.errors} errors")
    return " · ".join(words)


def latency_cell(figure: Figure | None, first: Figure | None) -> str:
    """Percentiles in milliseconds, and the ratio of the 99th."""
    if figure is None or not figure.latency:
        return ""
    words = [" / ".join(f"{figure.latency[name]:.3g}" for name in ("50", "95", "99", "99.9"))]
    if first is not None and first is not figure and first.latency.get("99"):
        words.append(f"**{figure.latency['99'] / first.latency['99']:.2f}x**")
    if figure.errors:
        words.append(f"{figure.errors} errors")
    return " · ".join(words)


def extremes_cell(figure: Figure | None, first: Figure | None) -> str:
    """The longest of all answers, and resident memory at the most."""
    if figure is None or not figure.latency:
        return ""
    memory = f" · {figure.peak:,.0f} MiB" if figure.peak else ""
    return f"{figure.latency['max']:,.0f} ms{memory}"


def as_latency(figures: Sequence[Figure], percentile: str) -> list[Figure]:
    """The same cases with a percentile as their value."""
    return [
        dataclasses.replace(
            figure, case=f"{figure.case}, p{percentile}", value=figure.latency[percentile], unit="ms"
        )
        for figure in figures
        if percentile in figure.latency
    ]


def ceilings(limits: Sequence[dict[str, float]], names: Sequence[str] = ()) -> list[Figure]:
    """What ``ceiling.measure`` gave in each round, as figures."""
    found = []
    for name in names or limits[0]:
        unit = "/s" if name.endswith("a second") else "MB/s"
        values = [limit[name] * (1.0 if unit == "/s" else 1.048576) for limit in limits]
        mean = sum(values) / len(values)
        found.append(Figure(f"ceiling: {name}", "ceiling", mean, unit, spread=(min(values), max(values))))
    return found


def table(
    figures: Sequence[Figure],
    servers: Sequence[str],
    fill: Callable[[Figure | None, Figure | None], str] = cell,
    *,
    generator: bool = True,
) -> str:
    """A row for each case, a column for each server; the generator's share of the machine, low to high."""
    found = {(figure.case, figure.server): figure for figure in figures}
    last = " generator |" if generator else ""
    lines = [f"| | {' | '.join(servers)} |{last}", "|---|" + "---|" * (len(servers) + generator)]
    for case in dict.fromkeys(figure.case for figure in figures):
        first = found.get((case, servers[0]))
        cells = [fill(found.get((case, server)), first) for server in servers]
        row = f"| {case} | {' | '.join(cells)} |"
        if generator:
            shares = [f.generator for f in figures if f.case == case and f.generator is not None]
            row += f" {min(shares):.0%}-{max(shares):.0%} |" if shares else " |"
        lines.append(row)
    return "\n".join(lines)


def facts(bench: Bench) -> str:
    """The machine, the command, and every server with version, command line and durability."""
    lines = [f"    {bench.command()}", ""]
    lines += [f"- {name}: {value}" for name, value in bench.facts().items()]
    lines += ["", "| server | version | started as | a 200 to a PUT promises |", "|---|---|---|---|"]
    lines += [
        f"| {server.name} | {server.version()} | `{server.command_line()}` | {server.durability} |"
        for server in bench.servers
    ]
    return "\n".join(lines)


def write(bench: Bench, name: str, title: str, text: str, plotted: Sequence[Figure]) -> None:
    """``name.md``, ``name.json`` and ``name.svg`` in the folder of the report."""
    folder = bench.options.output
    folder.mkdir(parents=True, exist_ok=True)
    notes = "".join(f"\n{note}\n" for note in bench.notes)
    page = f"# {title}\n\n{facts(bench)}\n{notes}\n{text}\n\n![{title}]({name}.svg)\n"
    (folder / f"{name}.md").write_text(page)
    (folder / f"{name}.svg").write_text(svg(title, plotted))
    everything = {
        "title": title,
        "command": bench.command(),
        "machine": bench.facts(),
        "servers": [
            {
                "name": server.name,
                "version": server.version(),
                "command": server.command_line(),
                "durability": server.durability,
            }
            for server in bench.servers
        ],
        "figures": [dataclasses.asdict(figure) for figure in bench.found()],
        "runs": [dataclasses.asdict(run) for run in bench.runs],
    }
    (folder / f"{name}.json").write_text(json.dumps(everything, indent=1) + "\n")
    print(page)
