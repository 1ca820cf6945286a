"""Logs: a line for people, or an object for machines, with the traceback inside it."""

import json
import logging
import sys

import pytest
from bleepstore import logs


@pytest.fixture(autouse=True)
def restored():
    root, ours = logging.getLogger(), logging.getLogger("bleepstore")
    before = (root.level, root.handlers[:], ours.level)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    ours.setLevel(before[2])


def test_an_exception_is_part_of_its_json_line(capsys):
    logs.configure(json_lines=True)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("bleepstore.x").exception("it is %s", "broken")
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["level"], record["logger"], record["message"]) == ("error", "bleepstore.x", "it is broken")
    assert "ValueError: two\nlines" in record["exception"]


def test_libraries_are_heard_only_when_something_is_wrong(capsys):
    logs.configure(json_lines=False)
    logging.getLogger("library").info("chatter")
    logging.getLogger("bleepstore").info("news")
    logging.getLogger("library").warning("trouble")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO bleepstore: news", "WARNING library: trouble"]


def test_forms_that_are_none_do_not_fill_the_log(capsys):
    logs.configure(json_lines=False)
    logging.getLogger("python_multipart.multipart").warning("Expected boundary character 45, got 97")
    assert capsys.readouterr().err == ""


def test_what_cannot_be_encoded_does_not_raise():
    line = logs.JsonLines().format(
        logging.LogRecord("bleepstore", logging.INFO, "", 0, "key %s", ("\udcff\n",), None)
    )
    assert json.loads(line)["message"] == "key \udcff\n"
    line.encode(sys.stderr.encoding, sys.stderr.errors or "backslashreplace")
