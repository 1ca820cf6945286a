"""The table of what works, in README, from the operation table.

``python schemas/readme_table.py`` writes it between its two marks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bleepstore.operations import Operation, Scope
from bleepstore.s3.table import EXCLUDED, ROWS
from bleepstore.s3.unconfigured import UNCONFIGURED

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- operations:begin -->\n", "<!-- operations:end -->\n"
PATHS = {Scope.SERVICE: "/", Scope.BUCKET: "/{Bucket}", Scope.OBJECT: "/{Bucket}/{Key}"}
WORKS, UNSET, UNBUILT = "works", "nothing configured", "501"


def table() -> str:
    """Introduction and table, what works first."""
    by_status: dict[str, list[Operation]] = {WORKS: [], UNSET: [], UNBUILT: []}
    for row in ROWS:
        by_status[status(row)].append(row)
    works, unset, unbuilt = (len(rows) for rows in by_status.values())
    lines = [
        f"{works} operations work. {unset} answer as AWS does for a bucket with *{UNSET}*: many tools ask.",
        f"{unbuilt} answer 501 NotImplemented, so that none is taken for another. Not in the table:",
        f"{' and '.join(sorted(EXCLUDED))}.",
        "",
        "| operation | request | |",
        "|---|---|---|",
    ]
    for name, rows in by_status.items():
        lines += [f"| {' / '.join((row.name, *row.aliases))} | `{request(row)}` | {name} |" for row in rows]
    return "\n".join(lines) + "\n"


def status(row: Operation) -> str:
    """Whether an operation works."""
    if row.handler is None:
        return UNBUILT
    return UNSET if row.handler is UNCONFIGURED.get(row.name) else WORKS


def request(row: Operation) -> str:
    """What an operation is asked by."""
    query = "?" + "&".join(row.query) if row.query else ""
    return " ".join((row.method, PATHS[row.scope] + query, *row.headers))


def replaced(text: str) -> str:
    """README with the table between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def main() -> int:
    """Write the table into README."""
    text = README.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        sys.stderr.write(f"{README.name} has no {BEGIN.strip()} and {END.strip()}\n")
        return 1
    README.write_text(replaced(text), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
