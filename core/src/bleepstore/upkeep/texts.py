"""What scrub finds, in words and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bleepstore.metadata import Holder
from bleepstore.terminal import printable
from bleepstore.upkeep.scrub import Finding, Kind, Totals

SHOWN = 5
"""Objects that one line names."""
MIB = 1024 * 1024


def describe(finding: Finding) -> str:
    """One line: what, whose, why, and where it is now."""
    text = f"{finding.kind.value} {printable(finding.blob)}"
    if finding.holders:
        shown = ", ".join(map(_holder, finding.holders[:SHOWN]))
        more = len(finding.holders) - SHOWN
        text += f" of {shown}" + (f" and {more} more" if more > 0 else "")
    text += f": {printable(finding.detail)}"
    return text + (f"; moved to {printable(finding.moved)}" if finding.moved is not None else "")


def summary(totals: Totals) -> str:
    """One line: what was looked at, and how much was found."""
    found = ", ".join(f"{count:,} {kind.value}" for kind, count in totals.found.items() if count)
    return (
        f"scrubbed {totals.blobs:,} blobs ({totals.blob_bytes / MIB:,.1f} MiB) and "
        f"{totals.inline:,} inline objects ({totals.inline_bytes / MIB:,.1f} MiB): {found or 'clean'}"
    )


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as ``--json`` prints it."""
    holders = [{k: v for k, v in asdict(holder).items() if k != "blob"} for holder in finding.holders]
    return {
        "kind": finding.kind.value,
        "blob": finding.blob,
        "detail": finding.detail,
        "holders": holders,
        "moved": finding.moved,
    }


def totals_as_json(totals: Totals) -> dict[str, Any]:
    """The last line of ``--json``."""
    looked = {name: getattr(totals, name) for name in ("blobs", "blob_bytes", "inline", "inline_bytes")}
    return {"kind": "summary", **looked, **{kind.value: totals.found[kind] for kind in Kind}}


def _holder(holder: Holder) -> str:
    text = f"{holder.bucket}/{printable(holder.key)}"
    return text + (f" (upload {holder.upload})" if holder.upload is not None else "")
