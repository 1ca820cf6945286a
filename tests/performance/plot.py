"""A plot as SVG: for each case a group of bars, one for each server, as a share of the best of them.

Written by hand: text that a reader can diff, and no library for what is rectangles and words.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from figures import Figure

COLOURS = ("#2563eb", "#f97316", "#16a34a", "#a855f7", "#64748b", "#eab308", "#dc2626", "#0891b2")
LABELS, WIDTH, VALUES = 190, 520, 150
BAR, GAP, TOP = 13, 11, 64


def value_text(figure: Figure) -> str:
    """A figure with its unit, in three digits or more."""
    number = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
    return f"{number}{'' if figure.unit.startswith('/') else ' '}{figure.unit}"


def svg(title: str, figures: Sequence[Figure]) -> str:
    """The document. Bars are as long as a server is good: of times and sizes the shortest is the best."""
    cases = list(dict.fromkeys(figure.case for figure in figures))
    servers = list(dict.fromkeys(figure.server for figure in figures))
    colour = dict(zip(servers, (COLOURS * (1 + len(servers) // len(COLOURS))), strict=False))
    parts, y = [], TOP
    for case in cases:
        group = [figure for figure in figures if figure.case == case]
        parts.append(_text(LABELS - 8, y + BAR * len(group) / 2 + 4, case, anchor="end"))
        for figure in group:
            length = WIDTH * _goodness(figure, group)
            hover = f"{escape(figure.server)}: {value_text(figure)}"
            parts.append(
                f'<rect x="{LABELS}" y="{y}" width="{max(length, 1):.1f}" height="{BAR - 2}" '
                f'fill="{colour[figure.server]}"><title>{hover}</title></rect>'
            )
            words = value_text(figure) if figure.value else "failed"
            if figure.cpu is not None and figure.value and figure.unit == "/s":
                words += f", {figure.cpu:,.0f} µs"
            parts.append(_text(LABELS + length + 5, y + BAR - 4, words, size=10))
            y += BAR
        y += GAP
    legend, x = [], LABELS
    for server in servers:
        legend.append(f'<rect x="{x}" y="36" width="11" height="11" fill="{colour[server]}"/>')
        legend.append(_text(x + 16, 46, server))
        x += 34 + 7 * len(server)
    width = LABELS + WIDTH + VALUES
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 8}" width="{width}" '
            f'height="{y + 8}" font-family="system-ui, sans-serif" font-size="12">',
            f'<rect width="{width}" height="{y + 8}" fill="#ffffff"/>',
            _text(LABELS, 22, title, size=15),
            *legend,
            *parts,
            "</svg>\n",
        ]
    )


def _goodness(figure: Figure, group: Sequence[Figure]) -> float:
    """0 to 1: 1 is the best of the group."""
    good = [other.value for other in group if other.value]
    if not figure.value or not good:
        return 0.0
    return figure.value / max(good) if figure.more_is_better else min(good) / figure.value


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#111827">'
        f"{escape(words)}</text>"
    )
