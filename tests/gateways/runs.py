"""The kit and the smoke test against one server, each as its user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from bleepstore.testing.s3.report import FAILED, PASSED, Report, Result
from server_process import FIRST, SECOND, command
from test_smoke import SCRIPT, aws_cli

LONGEST = 1800
"""Seconds that one run may take; each test within has its own bound."""
REASON = 240
"""Characters that are kept of what a check printed."""
SMOKE = "smoke"
"""The area of the smoke test's checks."""


def environment() -> dict[str, str]:
    own = ("BLEEPSTORE_", "AWS_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def conformance(url: str, expression: str | None = None) -> Report:
    """What ``bleepstore conformance`` finds, with two accounts."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "report.json")
        options = [
            *("--endpoint", url, "--json", str(file)),
            *("--access-key", FIRST.access_key, "--secret-key", FIRST.secret_key),
            *("--alt-access-key", SECOND.access_key, "--alt-secret-key", SECOND.secret_key),
            *(["-k", expression] if expression else []),
        ]
        done = subprocess.run(
            [*command(), "conformance", *options],
            env=environment(),
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert file.exists(), f"conformance ended with {done.returncode}: {done.stderr}"
        return Report.from_json(json.loads(file.read_text()))


def smoke(url: str) -> list[Result]:
    """Each check of the AWS CLI, and the script's own end."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["bash", str(SCRIPT), url],
            env={**environment(), "AWS_CLI": aws_cli(), "TMPDIR": directory},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
        )
    seconds = round(time.monotonic() - began, 1)
    # What a check printed follows its line, indented, where it failed.
    found = re.findall(r"^(PASS|FAIL)  (.+)\n((?:      .*\n)*)", done.stdout, re.M)
    results = [
        Result(SMOKE, name, PASSED if word == "PASS" else FAILED, " ".join(said.split())[:REASON])
        for word, name, said in found
    ]
    ended = PASSED if done.returncode in (0, 1) and results else FAILED
    end = done.stdout[-REASON:] if ended == FAILED else ""
    return [*results, Result(SMOKE, "the script to its end", ended, " ".join(end.split()), seconds)]
