"""What a run through a gateway says beside what is pinned, and all of them side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bleepstore.testing.s3.report import FAILED, PASSED, SKIPPED, Result, table


@dataclass
class Verdict:
    """One gateway."""

    name: str
    results: list[Result]
    """A pinned test that did not pass counts as skipped, with the reason of its pin."""
    unexpected: list[Result] = field(default_factory=list)
    """Failures, and skips that nobody pinned."""
    stale: list[str] = field(default_factory=list)
    """Pins of tests that pass, or that are not there."""
    trouble: str = ""
    """Why the run is not whole."""

    @property
    def red(self) -> bool:
        return bool(self.unexpected or self.stale or self.trouble)


def judge(name: str, results: list[Result], pins: Mapping[str, str], *, whole: bool = True) -> Verdict:
    """``whole``: every test ran, so that a pin that stands for none is stale."""
    verdict = Verdict(name, [])
    used: set[str] = set()
    for result in results:
        pin = next((pin for pin in pins if _matches(pin, result.name)), None)
        if pin is None:
            if result.outcome != PASSED:
                verdict.unexpected.append(result)
            verdict.results.append(result)
            continue
        used.add(pin)
        if result.outcome == PASSED:
            verdict.stale.append(f"{pin}: {result.name} passes")
            verdict.results.append(result)
        else:
            verdict.results.append(replace(result, outcome=SKIPPED, reason=pins[pin]))
    if whole:
        verdict.stale += [f"{pin}: there is no such test" for pin in pins if pin not in used]
    return verdict


def _matches(pin: str, name: str) -> bool:
    return name.startswith(pin[:-1]) if pin.endswith("*") else name == pin


def side_by_side(verdicts: list[Verdict]) -> Iterator[str]:
    """Passed/failed/skipped, an area a row, a gateway a column."""
    counts = {v.name: _by_area(v.results) for v in verdicts}
    areas = list(dict.fromkeys(area for found in counts.values() for area in found))
    names = [v.name for v in verdicts]
    rows = [(area, *(_cell(counts[name].get(area, Counter())) for name in names)) for area in areas]
    totals = [sum(counts[name].values(), Counter()) for name in names]
    yield "passed/failed/skipped"
    yield from table(("area", *names), [*rows, ("total", *map(_cell, totals))])


def _by_area(results: list[Result]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for result in results:
        found.setdefault(result.area, Counter())[result.outcome] += 1
    return found


def _cell(counts: Counter[str]) -> str:
    return "/".join(str(counts[outcome]) for outcome in (PASSED, FAILED, SKIPPED)) if counts else ""


def reasons(verdict: Verdict) -> Iterator[str]:
    """What is pinned for a gateway, and what is red about it."""
    skipped = Counter(result.reason for result in verdict.results if result.outcome == SKIPPED)
    for reason, count in skipped.most_common():
        yield f"  {count:4} skipped: {reason}"
    for result in verdict.unexpected:
        yield f"  UNEXPECTED {result.outcome}: {result.name}: {result.reason}"
    for text in verdict.stale:
        yield f"  STALE PIN {text}"
    if verdict.trouble:
        yield f"  TROUBLE {verdict.trouble}"
