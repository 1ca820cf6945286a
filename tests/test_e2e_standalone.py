"""The end-to-end suite as a stranger runs it: its own configuration, its own server, two workers.

The run of all tests takes it in with one worker.
"""

import os
import subprocess
import sys
from pathlib import Path

SUITE = Path(__file__).with_name("e2e")


def test_the_suite_passes_by_itself_against_two_workers(tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_E2E", "PYTEST", "AWS_"))}
    kept.pop("BLEEPSTORE_ENDPOINT", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(SUITE)],
        env={**kept, "BLEEPSTORE_E2E_WORKERS": "2"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
