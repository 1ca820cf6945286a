"""The smoke test of the AWS CLI against servers with one and two workers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from server_process import ServerProcess

SCRIPT = Path(__file__).with_name("smoke_test.sh")


def aws_cli() -> str:
    """The ``aws`` command: AWS_CLI, or that of this environment, or one on the PATH."""
    beside = Path(sys.executable).with_name("aws")
    found = os.environ.get("AWS_CLI") or (str(beside) if beside.exists() else shutil.which("aws"))
    assert found, "the AWS CLI is part of the development environment"
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_the_aws_cli_works(tmp_path: Path, workers: int) -> None:
    server = ServerProcess(tmp_path, workers=workers)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    try:
        server.start()
        done = subprocess.run(
            ["bash", str(SCRIPT), server.url],
            env={**kept, "AWS_CLI": aws_cli(), "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=280,
        )
        print(done.stdout, done.stderr)
        assert done.returncode == 0
        assert "FAIL" not in done.stdout
        assert server.stop() == 0
    finally:
        server.kill()


def test_the_script_fails_where_nothing_answers(tmp_path: Path) -> None:
    """A smoke test that cannot fail proves nothing."""
    done = subprocess.run(
        ["bash", str(SCRIPT), "http://127.0.0.1:1"],
        env={**os.environ, "AWS_CLI": "false", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "FAIL  s3 mb" in done.stdout
