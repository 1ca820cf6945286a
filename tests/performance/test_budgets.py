"""Memory stays within its budget: 50 MiB idle, 100 MiB while a large object passes through.

The measurement is ``measure.py``, with an object of 256 MiB here; its report has the 1 GiB case.
Times are reported and not asserted, because the machine of a test run has other work.
"""

import re
import subprocess
import sys
from pathlib import Path


def test_one_worker_stays_within_its_memory() -> None:
    script = Path(__file__).with_name("measure.py")
    done = subprocess.run(
        [sys.executable, str(script), "--workers", "1", "--size", "256", "--seconds", "0.5"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = dict(re.findall(r"^\| (resident, [\w ]+) \| (\d+) MiB \|$", done.stdout, re.MULTILINE))
    assert found.keys() == {"resident, idle", "resident, peak up", "resident, peak down"}, done.stdout
    assert int(found["resident, idle"]) < 50
    assert int(found["resident, peak up"]) < 100
    assert int(found["resident, peak down"]) < 100
