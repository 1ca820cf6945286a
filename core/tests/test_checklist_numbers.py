"""Every line of S3-CHECKLIST, the list of what clients trip on, is named by a test that covers it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests", "core/tests", "core/src/bleepstore/testing", "plugins/backend-local/tests")
LINES = range(1, 58)
BY_DEFAULT = re.compile(r"S3-CHECKLIST, (last part|what is asked by default)")
NAMED = re.compile(r"S3-CHECKLIST((?:(?:,| and)? ?(?:S3-CHECKLIST )?\d+)+)")


def documented(tree: ast.Module) -> Iterator[str]:
    """The docstrings of a module's tests, and of the module and classes that stand for all of theirs."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    tests = [node for node in functions if node.name.startswith("test_")]
    if tests:
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for node in (tree, *classes, *tests):
            yield ast.get_docstring(node) or ""


@pytest.fixture(scope="module")
def docstrings() -> list[str]:
    modules = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [text for path in modules for text in documented(ast.parse(path.read_text("utf-8")))]


def test_every_line_is_named(docstrings: list[str]) -> None:
    named = {
        int(number)
        for text in docstrings
        for found in NAMED.finditer(text.replace("\n", " "))
        for number in re.findall(r"\d+", found[1])
    }
    assert sorted(set(LINES) - named) == []
    assert sorted(named - set(LINES)) == []


def test_what_is_asked_by_default_is_named(docstrings: list[str]) -> None:
    assert any(BY_DEFAULT.search(text) for text in docstrings)
