"""Every benchmark runs from its start to its report; what it measures in so short a time says nothing."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHORT = {
    "throughput": ["--sizes", "1 KB", "1 MB", "--only", "GET", "HEAD", "COPY", "DELETE 1 KB"],
    "latency": ["--clients", "1", "40"],
    "multipart": ["--size", "32", "--part", "8"],
    "listing": ["--keys", "1500"],
    "startup": ["--starts", "1"],
}


@pytest.mark.parametrize("name", SHORT)
def test_a_benchmark_reports_figures_without_an_error(name: str, tmp_path: Path) -> None:
    output = tmp_path / "report"
    command = [sys.executable, str(HERE / f"bench_{name}.py"), "--servers", "bleepstore", "--rounds", "1"]
    command += ["--seconds", "1", "--directory", str(tmp_path), "--output", str(output), *SHORT[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads((output / f"{name}.json").read_text())["figures"]
    assert figures
    assert [figure for figure in figures if figure["errors"] or not figure["value"]] == []
    assert (output / f"{name}.md").read_text().startswith("# ")
    assert ET.parse(output / f"{name}.svg").getroot().tag.endswith("svg")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
