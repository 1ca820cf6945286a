"""Load by wrk, a generator in C: small requests with bodies that it receives and does not look at.

It does not understand replies to HEAD (it waits for the body that Content-Length promises); those go
through ``clients.py``. Its latencies are corrected for coordinated omission, as wrk does.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from load import Load
from presigned import Request

SCRIPT = Path(__file__).with_name("wrk.lua")
TIMEOUT = 10
"""Seconds after which a request counts as not answered."""
SYSTEM = Path(__file__).resolve().parents[2] / ".tools/system/bin/wrk"


def program() -> str:
    """The wrk of ``make system-tools``, or the one of the PATH."""
    found = str(SYSTEM) if SYSTEM.exists() else shutil.which("wrk")
    if not found:
        raise SystemExit("wrk is needed: `make system-tools`, or the Debian package wrk")
    return found


def version() -> str:
    """What wrk calls itself."""
    text = subprocess.run([program(), "-v"], capture_output=True, text=True).stdout
    return " ".join(text.split()[:2])


def run(
    url: str,
    requests: Sequence[Request] | Iterable[Request],
    *,
    connections: int,
    seconds: float,
    body: bytes | None = None,
    once: bool = False,
) -> Load:
    """``requests`` in order, again and again, or each ``once``, for at most so many seconds (rounded up)."""
    threads = min(connections, max(1, (os.cpu_count() or 1) // 4))
    with tempfile.TemporaryDirectory(prefix="bleepstore-wrk-") as folder:
        lines, content = Path(folder, "requests"), Path(folder, "body")
        lines.write_text("".join(f"{r.method} {r.target}\n" for r in requests))
        if body is not None:
            content.write_bytes(body)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [
                *(program(), f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds + 0.4999))}s"),
                *(f"--timeout={TIMEOUT}s", "-s", str(SCRIPT), url, "--"),
                *(str(lines), str(content) if body is not None else "-", "once" if once else "cycle"),
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "WRK_THREADS": str(threads)},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or not done.stderr.strip():
        raise RuntimeError(f"wrk failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = json.loads(done.stderr.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    latency = {name: found[name] / 1e3 for name in ("50", "95", "99", "99.9", "max")}
    return Load(
        requests=found["requests"] - found["refused"],
        seconds=found["microseconds"] / 1e6,
        bytes=found["bytes"],
        errors=found["refused"] + found["broken"],
        generator_cpu=cpu,
        latency=latency,
    )
