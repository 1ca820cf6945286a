"""The pages of ``specs/`` say what the code does: operations, error codes, tables, links.

Only what can be compared is compared: a page that forgets an operation, a code or a column, or keeps
one that is gone, is found here.
"""

from __future__ import annotations

import re
import sqlite3
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from bleepstore.auth.policy_conditions import _KEYS as CONDITION_KEYS
from bleepstore.auth.policy_conditions import _OPERATORS as CONDITION_OPERATORS
from bleepstore.errors import CODES
from bleepstore.operations import AclRight, Operation, Scope
from bleepstore.s3.table import ROWS
from bleepstore.s3.unconfigured import UNCONFIGURED
from bleepstore.sqlite.schema import DDL

SPECS = Path(__file__).parents[2] / "specs"
OPERATION_PAGES = ("s3-bucket-operations.md", "s3-object-operations.md", "s3-multipart-upload.md")
PAGES = sorted(SPECS.rglob("*.md"))
PATHS = {Scope.SERVICE: "/", Scope.BUCKET: "/BUCKET", Scope.OBJECT: "/BUCKET/KEY"}
DESCRIBED = [row for row in ROWS if row.handler is not None and row.name not in UNCONFIGURED]
UNBUILT = {name for row in ROWS if row.handler is None for name in (row.name, *row.aliases)}
ABSENT = {name for row in ROWS if row.name in UNCONFIGURED for name in (row.name, *row.aliases)}


def page(name: str) -> str:
    return (SPECS / name).read_text()


def headings() -> dict[str, str]:
    """The line below each heading of an operation, by operation."""
    found: dict[str, str] = {}
    for name in OPERATION_PAGES:
        for operation, line in re.findall(r"^### (\w+)\n\n(.+)$", page(name), re.MULTILINE):
            if not line.startswith("`"):
                continue
            assert operation not in found, f"{operation} is described twice"
            found[operation] = line
    return found


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def named(title: str) -> set[str]:
    """Operations in code spans under a heading, in all operation pages."""
    spans = (re.findall(r"`([A-Z]\w+)`", section(page(name), title)) for name in OPERATION_PAGES)
    known = {name for row in ROWS for name in (row.name, *row.aliases)}
    return {span for found in spans for span in found if span in known}


def summary(row: Operation) -> str:
    """The line that the page of an operation begins with."""
    query = "?" + "&".join(row.query) if row.query else ""
    line = f"`{row.method} {PATHS[row.scope]}{query}`"
    if row.headers:
        line += " with " + ", ".join(f"`{header}`" for header in row.headers)
    right, on = row.permission.right, row.permission.on
    if right is AclRight.SIGNED:
        line += ", any signed request"
    elif right is AclRight.OWNER:
        line += ", the owner of the " + ("bucket" if on is Scope.BUCKET else "object or of the bucket")
    else:
        line += f", {right.value} on the {on.value}"
    if row.source is not None:
        line += f", {row.source.right.value} on the source"
    if row.per_key:
        line += ", asked per key"
    return line + "."


def table_rows(text: str) -> list[list[str]]:
    """The cells of all table rows."""
    lines = (line for line in text.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_operation_with_a_handler_has_a_section_and_no_other_has() -> None:
    assert headings().keys() == {row.name for row in DESCRIBED}


@pytest.mark.parametrize("row", DESCRIBED, ids=lambda row: row.name)
def test_the_section_of_an_operation_names_its_method_path_query_and_right(row: Operation) -> None:
    assert headings()[row.name] == summary(row)


def test_the_operations_that_are_not_built_are_listed() -> None:
    """S3-CHECKLIST 24: each has an answer of its own."""
    assert named("Not built") == UNBUILT


def test_what_is_read_as_absent_is_listed() -> None:
    listed = named("Configurations that are not there") | named("Object lock that is not there")
    assert listed == ABSENT


def test_the_error_page_has_exactly_the_codes_and_statuses_of_the_table() -> None:
    rows = table_rows(section(page("s3-error-responses.md"), "Codes"))
    listed = [(code, int(status)) for code, status, _ in rows if status.isdecimal()]
    assert listed == [(code, status) for code, (status, _) in CODES.items()]


@pytest.mark.parametrize("name", [*OPERATION_PAGES, "s3-authentication.md", "s3-common-headers.md"])
def test_errors_in_tables_are_codes_with_their_status(name: str) -> None:
    """A cell such as ``400 InvalidTag, BadRequest`` gives the status of each code in it."""
    for cells in table_rows(page(name)):
        for cell in cells:
            for status, codes in re.findall(r"\b([345]\d\d) ((?:[A-Z]\w{7,}(?:, )?)+)", cell):
                for code in codes.removesuffix(", ").split(", "):
                    assert CODES.get(code, (None,))[0] == int(status), (cell, code)


def test_the_conditions_of_bucket_policies_are_those_that_are_understood() -> None:
    text = page("s3-authentication.md").partition("\n### Conditions\n")[2]
    spans = [span.lower() for cells in table_rows(text) for span in re.findall(r"`(\w+:[^`]+)`", cells[0])]
    listed = [span.partition("/")[0] for span in spans]
    assert {key for key in CONDITION_KEYS if not any(fnmatchcase(key, name) for name in listed)} == set()
    assert {name for name in listed if not any(fnmatchcase(key, name) for key in CONDITION_KEYS)} == set()
    named = set(re.findall(r"`(\w+)`", text.partition("\n| key |")[0]))
    families = {family + order for family in ("Numeric", "Date") for order in named}
    assert {operator for operator in CONDITION_OPERATORS if operator not in named | families} == set()


def test_the_schema_page_has_exactly_the_tables_and_columns_of_the_database() -> None:
    database = sqlite3.connect(":memory:")
    database.executescript(DDL)
    tables = {
        table: {column for (column,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    indexes = {
        name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql")
    } | set(re.findall(r"CREATE INDEX (\w+)", DDL))
    database.close()
    text = section(page("metadata-schema.md"), "Tables")
    described: dict[str, set[str]] = {}
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        columns = (re.findall(r"`(\w+)`", cells[0]) for cells in table_rows(part))
        described[part.partition("\n")[0]] = {column for found in columns for column in found}
    assert "the columns of `current`" in text
    described["history"] = described["current"] | {"marker"}
    assert described == tables
    assert all(f"`{index}`" in text for index in indexes)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(SPECS)))
def test_relative_links_lead_to_files(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
    relative = [link for link in links if "://" not in link]
    missing = [link for link in relative if not (path.parent / link).is_file()]
    assert missing == []


def test_the_index_names_every_page() -> None:
    index = SPECS / "README.md"
    linked = {(SPECS / link).resolve() for link in re.findall(r"\]\(([^):]+\.md)\)", index.read_text())}
    assert linked == {path.resolve() for path in PAGES} - {index.resolve()}
