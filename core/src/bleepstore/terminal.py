"""What commands that work for a while show: a progress line on a terminal, text that moves no cursor."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Callable

TICK = 0.5
"""Seconds between two updates of the progress line."""


class Line:
    """The progress line, on standard error where that is a terminal."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()
        """Whether somebody sees it."""

    def show(self, text: str) -> None:
        """Replace what the line says, as far as the terminal is wide: a second line could not be replaced."""
        if self.shown:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{text[:width]}\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave nothing of it."""
        self.show("")

    def say(self, text: str) -> None:
        """A line of standard output, which the progress line is no part of."""
        self.clear()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    @contextlib.asynccontextmanager
    async def ticking(self, text: Callable[[], str]) -> AsyncIterator[None]:
        """Show what ``text`` returns, again and again, while the block runs."""

        async def tick() -> None:
            while True:
                self.show(text())
                await asyncio.sleep(TICK)

        ticking = asyncio.create_task(tick(), name="progress")
        try:
            yield
        finally:
            ticking.cancel()
            self.clear()


def printable(text: str) -> str:
    """A key can hold anything: what would move a terminal's cursor is written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(text: str) -> None:
    """One line on standard error that says why a command cannot do what was asked."""
    sys.stderr.write(f"bleepstore: {' '.join(text.splitlines())}\n")
