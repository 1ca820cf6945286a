"""What a command has done and found: a line for what needs one, a summary, the progress."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from bleepstore.terminal import Line, printable
from bleepstore.transfer.progress import MIB, Progress

CLEAN, FOUND, CANNOT = 0, 1, 2
"""Exit codes: nothing to tell; something was told; it could not be done."""


@dataclass(slots=True)
class Report:
    """What a command has done and found until now."""

    line: Line | None
    """``None``: nothing is said."""
    json: bool
    progress: Progress = field(default_factory=Progress)
    counts: dict[str, int] = field(default_factory=dict)
    """What was done quietly, by kind."""
    found: dict[str, int] = field(default_factory=dict)
    """What has its line, by kind."""

    @classmethod
    def silent(cls) -> Report:
        """One that nobody reads."""
        return cls(None, False)

    def count(self, kind: str) -> None:
        """One more that went as it should."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def tell(self, kind: str, bucket: str, key: str, detail: str, **more: Any) -> None:
        """A line about something that is not as it should be."""
        self.found[kind] = self.found.get(kind, 0) + 1
        self._say(kind, bucket, key, detail, more)

    def note(self, kind: str, bucket: str, key: str, detail: str, **more: Any) -> None:
        """A line about something that is worth knowing, and as it should be."""
        self.count(kind)
        self._say(kind, bucket, key, detail, more)

    def _say(self, kind: str, bucket: str, key: str, detail: str, more: dict[str, Any]) -> None:
        if self.line is None:
            return
        if self.json:
            self.line.say(json.dumps({"kind": kind, "bucket": bucket, "key": key, "detail": detail, **more}))
        else:
            name = f"{bucket}/{key}" if key else bucket
            self.line.say(f"{kind} {printable(name)}: {printable(detail)}")

    def _told(self) -> str:
        return ", ".join(f"{number:,} {kind}" for kind, number in self.found.items())

    def __str__(self) -> str:
        """The summary."""
        moved = self.progress.moved
        done = [f"{self.progress.objects:,} objects"] + ([f"{moved / MIB:,.1f} MiB read"] if moved else [])
        done += [f"{number:,} {kind}" for kind, number in self.counts.items()]
        return f"{', '.join(done)}: {self._told() or 'clean'}"

    def under_way(self) -> str:
        """What the progress line says."""
        told = self._told()
        return f"{self.progress}" + (f": {told}" if told else "")

    def conclude(self, *, whole: bool = True) -> int:
        """The last line, and the exit code. ``whole``: it came to its end."""
        totals = {"objects": self.progress.objects, "bytes_read": self.progress.moved}
        if self.line is not None and self.json:
            ended = {**totals, **self.counts, **self.found}
            self.line.say(json.dumps({"kind": "summary", **({} if whole else {"cut_off": True}), **ended}))
        elif self.line is not None:
            self.line.say(str(self))
        return FOUND if self.found else CLEAN
