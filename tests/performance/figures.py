"""From runs to figures: what several rounds of one case gave at one server, taken together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from load import Load

LEAST_CPU = 0.03
"""Seconds of CPU below which nothing is said of it: the system counts hundredths."""


@dataclass
class Run:
    """One run of one case at one server."""

    case: str
    server: str
    round: int
    load: Load
    server_cpu: float | None
    """Seconds of CPU of the server and its children, where its processes can be seen."""
    peak: int
    """Highest resident bytes of the server while the load ran."""
    size: int | None = None
    """Bytes of a request's object, where throughput in MB/s is the figure."""


@dataclass
class Figure:
    """A case at a server: what a cell of a table shows."""

    case: str
    server: str
    value: float
    unit: str
    """``/s`` and ``MB/s``: more is better; ``ms``, ``s``, ``MiB``: less is."""
    cpu: float | None = None
    """Microseconds of server CPU a request."""
    busy: float | None = None
    """Share of the machine's CPUs that the server used."""
    generator: float | None = None
    """Share of the machine's CPUs that the load generator used."""
    errors: int = 0
    told: str = ""
    spread: tuple[float, float] | None = None
    """Lowest and highest of the rounds."""
    latency: dict[str, float] = field(default_factory=dict)
    """Milliseconds by percentile: the mean of the rounds, but the highest ``max``."""
    peak: float = 0.0
    """MiB resident at the most."""

    @property
    def more_is_better(self) -> bool:
        """Whether it is a rate."""
        return self.unit.endswith("/s")

    def ahead(self, other: Figure) -> float | None:
        """How many times as good this is as ``other``; above 1 it leads."""
        mine, theirs = (self, other) if self.more_is_better else (other, self)
        return mine.value / theirs.value if theirs.value else None


def taken_together(runs: Iterable[Run], cpus: int) -> list[Figure]:
    """A figure for each case and server, in the order of their first runs."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.case, run.server), []).append(run)
    return [_figure(group, cpus) for group in groups.values()]


def _figure(runs: Sequence[Run], cpus: int) -> Figure:
    requests = sum(run.load.requests for run in runs)
    seconds = sum(run.load.seconds for run in runs)
    size = runs[0].size
    scale = size / 1e6 if size else 1.0
    each = [scale * run.load.requests / run.load.seconds for run in runs if run.load.seconds]
    costs = [run.server_cpu for run in runs]
    cpu = None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs)
    names = runs[0].load.latency
    return Figure(
        case=runs[0].case,
        server=runs[0].server,
        value=scale * requests / seconds if seconds else 0.0,
        unit="MB/s" if size else "/s",
        cpu=1e6 * cpu / requests if cpu is not None and cpu >= LEAST_CPU and requests else None,
        busy=cpu / seconds / cpus if cpu is not None and seconds else None,
        generator=sum(run.load.generator_cpu for run in runs) / seconds / cpus if seconds else None,
        errors=sum(run.load.errors for run in runs),
        told=next((run.load.told for run in runs if run.load.told), ""),
        spread=(min(each), max(each)) if each else None,
        latency={
            name: (max if name == "max" else _mean)([run.load.latency.get(name, 0.0) for run in runs])
            for name in names
        },
        peak=max(run.peak for run in runs) / 1024**2,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
