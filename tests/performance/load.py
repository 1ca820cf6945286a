"""What one run of load gave, whoever generated it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

PERCENTILES = (50.0, 95.0, 99.0, 99.9)


@dataclass
class Load:
    """One run."""

    requests: int
    """Answered below 400."""
    seconds: float
    bytes: int
    """Bodies and heads that were received."""
    errors: int
    """Answered 400 or above, cut off, or not answered in time."""
    generator_cpu: float
    """Seconds of CPU that the generator used."""
    latency: dict[str, float] = field(default_factory=dict)
    """Milliseconds by percentile, and ``max``."""
    told: str = ""
    """The first error in words, where the generator keeps it."""


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds at each percentile of these latencies."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    found = {f"{p:g}": 1e3 * ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] for p in PERCENTILES}
    return {**found, "max": 1e3 * ordered[-1]}
