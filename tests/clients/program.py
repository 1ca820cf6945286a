"""Clients that are programs of their own: a command line, or a script that reports what it did.

A command-line tool is a ``Tool``. A program in another language does everything in one process and
prints the lines that ``scripts/exercise.py`` describes; ``run_program`` believes none of them
without a look of our own.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 170.0
"""Seconds that one command may take."""
MIB = 1024 * 1024
SMALL = bytes(range(256)) * 4
LARGE = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(18 * MIB // 32)) + b"the end"
"""Above the size from which these clients upload in parts by default."""
AWKWARD_NAMES = [
    "with space",
    "a+b",
    "100%",
    "%41 percent",
    "key=value&x=y",
    "grüße/日本語 🙂",
    "q#m;c:a@e!$'(),",
]
"""What keys are made of that clients and servers are known to quote differently."""
SDK_KEYS = [
    "odd/with space",
    "odd/a+b",
    "odd/100%",
    "odd/%41 percent",
    "odd/key=value&x=y",
    "odd/grüße/日本語 🙂",
    "odd/q?m#h;c:a@e!$'(),*~[x]",
    "odd//double//slash",
]
SDK_OPERATIONS = [
    *("create bucket", "put small", "put empty", "put large", "get", "get ranged", "metadata"),
    *(f"key {key}" for key in SDK_KEYS),
    *("list 1,500 keys", "delete many", "presigned get", "presigned put"),
]
"""What the program of every SDK does."""


@dataclass(frozen=True)
class Tool:
    """A command with its environment and working folder; calling it runs it with more arguments."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Return what it printed; a test fails where it does not end with 0."""
        done = self.attempt(*arguments, stdin=stdin)
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(arguments)}\n{said}\n{done.stderr.decode(errors='replace')}"
        return said

    def attempt(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run it and return how it ended."""
        command = [*self.command, *arguments]
        assert Path(command[0]).exists(), f"{command[0]} is missing: `make client-environments`"
        return subprocess.run(
            command,
            env=dict(self.environment),
            cwd=self.folder,
            input=b"" if stdin is None else stdin,
            capture_output=True,
            timeout=PATIENCE,
        )


def make_tree(folder: Path) -> dict[str, bytes]:
    """Files to synchronize, some with awkward names; what they are and hold."""
    files = {f"{n}.txt": str(n).encode() * 100 for n in range(5)}
    files |= {"sub/deep/ü +%41 file.bin": SMALL, "sub/empty": b"", "sub/large.bin": LARGE}
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        # Long ago: synchronizers compare with S3's whole seconds, and take what is of this one for newer.
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return files


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def read_bucket(s3: Any, bucket: str, prefix: str = "") -> dict[str, bytes]:
    """Every object below a prefix, by the rest of its key, as our own client reads it."""
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            found[item["Key"].removeprefix(prefix)] = body
    return found


def fetch(url: str, ca: Path | None, method: str = "GET", body: bytes | None = None) -> bytes:
    """Send a request as a browser would, without credentials, and return the body of its reply."""
    context = ssl.create_default_context(cafile=ca) if ca else None
    with urllib.request.urlopen(urllib.request.Request(url, body, method=method), context=context) as reply:
        found: bytes = reply.read()
    return found


def run_program(program: Tool, s3: Any, bucket: str, operations: Iterable[str]) -> None:
    """Run a program that must do exactly these operations, and read what it says it has stored."""
    done = program.attempt()
    print(done.stderr.decode(errors="replace"))
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
    failures = [f"{line['failed']}\n{line['why']}" for line in lines if "failed" in line]
    assert not failures, "\n\n".join(failures)
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    assert sorted(line["done"] for line in lines if "done" in line) == sorted(operations)
    for line in lines:
        if "stored" in line:
            reply = s3.get_object(Bucket=bucket, Key=line["stored"])
            found = hashlib.md5(reply["Body"].read(), usedforsecurity=False).hexdigest()
            assert found == line["md5"], f"{line['stored']!r} is not what the client wrote"
            assert "ContentEncoding" not in reply, reply
