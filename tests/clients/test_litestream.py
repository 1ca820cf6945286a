"""litestream: an SQLite database replicated while it is written, and restored."""

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from endpoint import TOOLS, Endpoint
from program import PATIENCE, Tool


@pytest.fixture
def litestream(environment: dict[str, str], endpoint: Endpoint, bucket: str, tmp_path: Path) -> Tool:
    configuration = tmp_path / "litestream.yml"
    configuration.write_text(
        f"dbs:\n  - path: {tmp_path}/live.db\n    replica:\n      type: s3\n      bucket: {bucket}\n"
        f"      path: replica/live\n      endpoint: {endpoint.url}\n      region: {endpoint.region}\n"
    )
    program = TOOLS / "programs" / "bin" / "litestream"
    # It has an HTTP client of its own, which its SDK cannot give the certificates of AWS_CA_BUNDLE; Go's
    # own variable, SSL_CERT_FILE, is enough.
    made = {name: value for name, value in environment.items() if name != "AWS_CA_BUNDLE"}
    return Tool([str(program)], made, tmp_path)


def rows(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT id, text FROM notes ORDER BY id").fetchall()


def test_litestream(
    litestream: Tool, s3: Any, bucket: str, tmp_path: Path, covered: Callable[[str, Iterable[str]], None]
) -> None:
    s3.create_bucket(Bucket=bucket)
    live = tmp_path / "live.db"
    with closing(sqlite3.connect(live)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE notes(id INTEGER PRIMARY KEY, text)")
        database.commit()
        command = [*litestream.command, "replicate", "-config", str(tmp_path / "litestream.yml")]
        with (tmp_path / "log").open("wb") as log:
            running = subprocess.Popen(command, env=dict(litestream.environment), stdout=log, stderr=log)
        try:
            for n in range(200):
                database.execute("INSERT INTO notes VALUES (?, ?)", (n, "text " * 200))
                database.commit()
            # It replicates in the background: what is restored grows until it is what was written.
            end = time.monotonic() + PATIENCE
            while restored(litestream, tmp_path) != rows(live):
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                assert running.poll() is None, (tmp_path / "log").read_text()
            database.execute("DELETE FROM notes WHERE id % 2")
            database.commit()
        finally:
            running.terminate()  # it sends what is left before it ends
            running.wait(PATIENCE)
    assert restored(litestream, tmp_path) == rows(live)
    assert len(rows(live)) == 100
    said = litestream("ltx", "-config", "litestream.yml", str(live))
    assert len(said.splitlines()) > 1
    covered("litestream", ["replicate", "restore while it runs", "restore after its end", "ltx"])


def restored(litestream: Tool, folder: Path) -> list[tuple[int, str]]:
    """The rows of the replica as it is now; none where there is no replica yet."""
    target = folder / "restored.db"
    for leftover in folder.glob("restored.db*"):
        leftover.unlink()
    arguments = [
        "-config",
        "litestream.yml",
        "-if-replica-exists",
        "-o",
        str(target),
        str(folder / "live.db"),
    ]
    done = litestream.attempt("restore", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return rows(target) if target.exists() else []
