"""What a run of the kit found: as a table for people, as JSON for programs. Only the standard library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
OUTCOMES = (PASSED, FAILED, SKIPPED)


@dataclass(frozen=True)
class Result:
    """One test."""

    area: str
    test: str
    """Its name, with its parameters."""
    outcome: str
    """One of :data:`OUTCOMES`."""
    reason: str = ""
    """In one line: what was wrong, or what the server or the run lacks."""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Area and test: what ``-k`` finds, and what lists of expected results name."""
        return f"{self.area}::{self.test}"


@dataclass
class Report:
    """One run."""

    endpoint: str
    results: list[Result] = field(default_factory=list)
    left_behind: dict[str, str] = field(default_factory=dict)
    """Buckets that the run made and could not remove, and why."""
    stopped: str = ""
    """Why tests that were chosen did not run."""

    @property
    def failed(self) -> bool:
        """Whether the server was wrong somewhere."""
        return bool(self.stopped) or any(result.outcome == FAILED for result in self.results)

    def counts(self) -> dict[str, Counter[str]]:
        """How many tests of each area had which outcome, in order of the areas."""
        found: dict[str, Counter[str]] = {}
        for result in self.results:
            found.setdefault(result.area, Counter())[result.outcome] += 1
        return found

    def total(self) -> Counter[str]:
        """The same of all areas."""
        return sum(self.counts().values(), Counter())

    def as_json(self) -> dict[str, Any]:
        """Everything, for :func:`json.dumps`."""
        return {
            "endpoint": self.endpoint,
            "total": {outcome: self.total()[outcome] for outcome in OUTCOMES},
            "areas": {
                area: {outcome: counts[outcome] for outcome in OUTCOMES}
                for area, counts in self.counts().items()
            },
            "results": [asdict(result) for result in self.results],
            "left_behind": self.left_behind,
            "stopped": self.stopped,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Report:
        """What :meth:`as_json` gave."""
        results = [Result(**result) for result in data["results"]]
        return cls(data["endpoint"], results, data["left_behind"], data["stopped"])

    def lines(self) -> Iterator[str]:
        """The table, the reasons of skipped tests, and a line for each failure."""
        rows = [*self.counts().items(), ("total", self.total())]
        yield from table(
            ("area", *OUTCOMES), [(area, *(str(counts[o] or "") for o in OUTCOMES)) for area, counts in rows]
        )
        yield from self._skipped()
        failures = [result for result in self.results if result.outcome == FAILED]
        if failures:
            yield from ("", "failed:")
            yield from (f"  {result.name}: {result.reason}" for result in failures)
        if self.left_behind:
            yield from ("", "buckets that could not be removed:")
            yield from (f"  {name}: {reason}" for name, reason in self.left_behind.items())
        if self.stopped:
            yield from ("", f"stopped: {self.stopped}")

    def _skipped(self) -> Iterator[str]:
        reasons: dict[str, list[str]] = {}
        for result in self.results:
            if result.outcome == SKIPPED:
                reasons.setdefault(result.reason, []).append(result.area)
        if reasons:
            yield from ("", "skipped:")
        for reason, areas in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
            yield f"  {len(areas):4}  {reason} ({', '.join(dict.fromkeys(areas))})"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Rows in columns; numbers to the right."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *others)).rstrip()
