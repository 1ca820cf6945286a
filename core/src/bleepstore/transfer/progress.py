"""The progress bar of a command: how far it is, how fast, and how long it takes still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

MIB = 1024 * 1024
WIDTH = 20
"""Characters of the bar."""
SETTLING = 2.0
"""Seconds before what is left is guessed at."""


@dataclass(slots=True)
class Progress:
    """Numbers that grow while a command works, and what they grow to, where that is known."""

    clock: Callable[[], float] = time.monotonic
    objects: int = 0
    """Looked at."""
    moved: int = 0
    """Bytes that were read."""
    spared: int = 0
    """Bytes that need not be read: they are where they are to be."""
    objects_of: int = 0
    """All there are, as far as they are counted."""
    bytes_of: int = 0
    """All that is to be read or spared; 0 where bytes are not what it is about."""
    counted: bool = False
    """All of them are counted."""
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def expect(self, size: int) -> None:
        """One more object, of which so many bytes are to be read."""
        self.objects_of += 1
        self.bytes_of += size

    @property
    def fraction(self) -> float | None:
        """How far it is; ``None`` while nobody knows."""
        if not self.counted or not self.objects_of:
            return None
        done, whole = self.objects, self.objects_of
        if self.bytes_of:
            # An object costs something by itself, as much as some bytes.
            done = (done << 14) + self.moved + self.spared
            whole = (whole << 14) + self.bytes_of
        return min(done / whole, 1.0)

    def __str__(self) -> str:
        spent, fraction = self.clock() - self._began, self.fraction
        words = [
            f"{self.objects:,} objects" if fraction is None else f"{self.objects:,} of {self.objects_of:,}"
        ]
        if self.moved:
            words.append(f"{self.moved / MIB:,.1f} MiB")
            if spent > SETTLING:
                words.append(f"{self.moved / MIB / spent:,.1f} MiB/s")
        if fraction is None:
            return ", ".join(words)
        if spent > SETTLING and 0.0 < fraction < 1.0:
            words.append(f"{_clock(spent * (1 - fraction) / fraction)} left")
        full = int(fraction * WIDTH)
        return f"[{'#' * full}{'.' * (WIDTH - full)}] {int(fraction * 100):3}%  {', '.join(words)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
