"""Data that is upstream already, moves out and in, and is changed behind the gateway's back.

Everything upstream is done by the cloud's own SDK (``foreign``), everything here by the ``bleepstore``
command and by boto3. A check a line, so that one that fails does not hide the others.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
from bleepstore.testing.s3.report import FAILED, PASSED, Result
from botocore.config import Config
from foreign import Cloud, Held
from runs import LONGEST, REASON, environment
from server_process import FIRST, command
from upstreams import PREFIX, UPSTREAMS, Upstream, server_of

AREA = "moving"
BIG = bytes(range(256)) * (11 * 4096)
KEPT = {
    "photos/2024/z\u00fcrich.jpg": Held(b"jpg" * 1000, "image/jpeg", "max-age=60", {"who": "me", "n": "1"}),
    "photos/empty": Held(b"", "text/plain"),
    "photos/big": Held(BIG, "video/mp4", None, {"parts": "3"}),
    "photos/a/b/c.txt": Held(b"text", "text/plain"),
    "music/song": Held(b"la", "audio/x-song"),
}
"""By bucket and key."""
TREE = {"notes/a.txt": b"a note", "notes/deep/er/b.json": b"{}", "notes/big": BIG}


class Moving:
    """One gateway and what is behind it. Each check begins where the one before has ended."""

    def __init__(self, name: str, directory: Path, upstream: Upstream, cloud: Cloud) -> None:
        self._directory, self._upstream, self._cloud = directory, upstream, cloud
        self._server = server_of(name, directory / "gateway", upstream)
        self._expected = dict(KEPT)
        self.checks: tuple[tuple[str, Callable[[], None]], ...] = (
            ("what the cloud's SDK has written is imported", self.imported),
            ("a second import finds everything here", self.imported_again),
            ("what was imported is read over S3 with type, metadata and ETag", self.read),
            ("rescan finds nothing where nothing was changed", self.unchanged),
            ("rescan finds what others have overwritten, deleted and added", self.found),
            ("rescan --fix ends every difference", self.fixed),
            ("what rescan took is read over S3", self.read),
            ("export of everything into a tree", self.exported),
            ("import of a tree is read by the cloud's SDK", self.tree_imported),
            ("lost metadata is made anew", self.claimed),
            ("what was made anew is read over S3", self.read),
        )

    # --- what a person would do -------------------------------------------------------------------------

    def _run(self, name: str, *options: str) -> tuple[int, list[str]]:
        """A ``bleepstore`` command over the gateway's store: exit code and lines."""
        where = ["--config", str(self._directory / "gateway/bleepstore.yaml")]
        done = subprocess.run(
            [*command(), name, str(self._directory / "gateway/data"), *options, *where],
            env={**environment(), **self._upstream.environ},
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert not re.search(r"^(Traceback|bleepstore: )", done.stderr, re.M), done.stderr
        return done.returncode, done.stdout.splitlines()

    @contextmanager
    def _serving(self) -> Iterator[Any]:
        server = self._server.start()
        client = boto3.client(
            "s3",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=FIRST.access_key,
            aws_secret_access_key=FIRST.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        try:
            yield client
            assert server.stop() == 0
        finally:
            client.close()
            server.kill()

    def _put(self, name: str, held: Held) -> None:
        self._cloud.put(PREFIX + name, held)
        self._expected[name] = held

    # --- checks, in order -------------------------------------------------------------------------------

    def imported(self) -> None:
        self._server.configure()
        for name, held in KEPT.items():
            self._put(name, held)
        code, lines = self._run("import", "--verify")
        assert (code, lines[-1].endswith(f"{len(KEPT)} imported: clean")) == (0, True), lines

    def imported_again(self) -> None:
        code, lines = self._run("import")
        count = len(self._expected)
        assert (code, lines) == (0, [f"{count} objects, {count} here already: clean"]), lines

    def read(self) -> None:
        with self._serving() as s3:
            buckets = sorted({name.partition("/")[0] for name in self._expected})
            assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == buckets
            for name, held in self._expected.items():
                bucket, _, key = name.partition("/")
                got = s3.get_object(Bucket=bucket, Key=key)
                found = Held(got["Body"].read(), got["ContentType"], got.get("CacheControl"), got["Metadata"])
                assert found == held, f"{name}: {_short(found)} and not {_short(held)}"
                etags = {self._cloud.etag(PREFIX + name) or hashlib.md5(held.body).hexdigest()}
                if name in TREE:  # it went through here: its ETag is that of one PUT until its row is lost
                    etags.add(hashlib.md5(held.body).hexdigest())
                assert got["ETag"].strip('"') in etags, f"{name}: {got['ETag']} and not {etags}"
            names = {
                f"{bucket}/{entry['Key']}"
                for bucket in buckets
                for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", ())
            }
            assert names == set(self._expected), names

    def unchanged(self) -> None:
        code, lines = self._run("rescan", "--verify")
        assert (code, lines[-1].endswith(" read: clean")) == (0, True), lines

    def found(self) -> None:
        changed = Held(b"changed behind our back", "text/x-other", None, {"who": "others"})
        self._put("photos/a/b/c.txt", changed)
        self._put("photos/big", replace(KEPT["photos/big"], body=BIG[::-1]))  # as many bytes as before
        self._put("photos/new", Held(b"new", "text/plain"))
        self._put("films/first", Held(b"a bucket of others", "video/mp4"))
        self._cloud.remove(f"{PREFIX}photos/2024/z\u00fcrich.jpg")
        del self._expected["photos/2024/z\u00fcrich.jpg"]
        self._differences(
            changed={"photos/a/b/c.txt", "photos/big"},
            unknown={"photos/new", "films/first"},
            removed={"photos/2024/z\u00fcrich.jpg"},
        )

    def _differences(self, **expected: set[str]) -> None:
        code, lines = self._run("rescan", "--json")
        findings = [json.loads(line) for line in lines[:-1]]
        found: dict[str, set[str]] = {}
        for finding in findings:
            found.setdefault(finding["kind"], set()).add(f"{finding['bucket']}/{finding['key']}")
        assert (code, found) == (1, expected), findings

    def fixed(self) -> None:
        code, lines = self._run("rescan", "--fix")
        told = sorted(lines[-1].partition(": ")[2].split(", "))
        assert (code, told) == (1, ["1 removed", "2 changed", "2 unknown"]), lines
        code, lines = self._run("rescan", "--verify")
        assert code == 0, lines

    def exported(self) -> None:
        out = self._directory / "out"
        code, lines = self._run("export", str(out), "--verify")
        assert code == 0, lines
        there = {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file() and path.parent != out
        }
        assert there == {name: held.body for name, held in self._expected.items()}, there.keys()

    def tree_imported(self) -> None:
        tree = self._directory / "tree"
        for name, body in TREE.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(body)
        code, lines = self._run("import", str(tree), "--verify")
        assert (code, lines[-1].endswith(f"{len(TREE)} imported: clean")) == (0, True), lines
        for name, body in TREE.items():
            guess = {".txt": "text/plain", ".json": "application/json"}.get(
                Path(name).suffix, "binary/octet-stream"
            )
            self._expected[name] = Held(body, guess)
            held = self._cloud.get(PREFIX + name)
            assert held == self._expected[name], f"{name}: {_short(held)}"

    def claimed(self) -> None:
        shutil.rmtree(self._directory / "gateway/data")
        code, lines = self._run("import", "--claim")
        count = len(self._expected)
        assert (code, lines) == (0, [f"{count} objects, {count} imported: clean"]), lines


def _short(held: Held) -> str:
    return repr(replace(held, body=held.body[:20]))


def moving(name: str, directory: Path) -> Iterator[Result]:
    """Every check in front of an upstream of its own; none where there is no cloud."""
    with UPSTREAMS[name](directory / "upstream") as upstream:
        if upstream.cloud is None:
            return
        with upstream.cloud() as cloud:
            for check, run in Moving(name, directory, upstream, cloud).checks:
                began = time.monotonic()
                try:
                    run()
                except Exception as error:
                    reason = " ".join(str(error).split())[:REASON] or type(error).__name__
                    yield Result(AREA, check, FAILED, reason, round(time.monotonic() - began, 1))
                else:
                    yield Result(AREA, check, PASSED, seconds=round(time.monotonic() - began, 1))
