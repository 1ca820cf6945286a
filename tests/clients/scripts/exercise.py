"""What every script shares: where the server is, what is stored there, and how to report.

Only the standard library: this runs in each client's own environment. A script prints JSON lines:
``{"done": OPERATION}``, ``{"failed": OPERATION, "why": ...}``, ``{"stored": KEY, "md5": ...}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

URL = os.environ["BLEEPSTORE_TEST_URL"]
HOST = URL.partition("://")[2]
SECURE = URL.startswith("https:")
BUCKET = os.environ["BLEEPSTORE_TEST_BUCKET"]
CA = os.environ.get("BLEEPSTORE_TEST_CA")
ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ["AWS_REGION"]

MIB = 1024 * 1024
SMALL = bytes(range(256)) * 4
LARGE = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(18 * MIB // 32)) + b"the end"
"""Over every client's limit for multipart uploads by default, unless a script says otherwise."""
AWKWARD_KEYS = [
    "odd/with space",
    "odd/a+b",
    "odd/100%",
    "odd/%41 percent",
    "odd/key=value&x=y",
    "odd/grüße/日本語 🙂",
    "odd/q?m#h;c:a@e!$'(),*~[x]",
]
DOUBLE_SLASH = "odd//double//slash"
MANY = [f"many/{n % 3}/{n:04}" for n in range(1500)]
"""1,500 keys in three folders of 500."""

_failed = False


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


@contextmanager
def doing(operation: str) -> Iterator[None]:
    """One operation: done when the block ends, failed when it raises; the script goes on either way."""
    global _failed
    try:
        yield
    except Exception:
        _failed = True
        say(failed=operation, why=traceback.format_exc())
    else:
        say(done=operation)


def stored(key: str, body: bytes, bucket: str = BUCKET) -> None:
    """Claim that this object is there at the end of the script; the test reads it."""
    say(stored=key, md5=hashlib.md5(body, usedforsecurity=False).hexdigest(), bucket=bucket)


def tls_context() -> ssl.SSLContext | None:
    """To open a URL of the server with the standard library."""
    return ssl.create_default_context(cafile=CA) if CA else None


def make_tree(folder: Path) -> dict[str, bytes]:
    """Files to synchronize, some with awkward names; what they are and hold."""
    files = {f"{n}.txt": str(n).encode() * 100 for n in range(5)}
    files |= {"sub/deep/ü +%41 file.bin": SMALL, "sub/empty": b"", "sub/large.bin": LARGE[: 9 * MIB]}
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return files


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def finish() -> None:
    """End the script with a status that says whether everything was done."""
    sys.exit(1 if _failed else 0)
