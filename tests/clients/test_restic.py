"""restic: a repository in a bucket, backed up to, checked to the last byte, restored from."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from endpoint import TOOLS, Endpoint
from program import Tool, make_tree, read_tree


@pytest.fixture
def restic(environment: dict[str, str], endpoint: Endpoint, bucket: str, tmp_path: Path) -> Tool:
    made = {
        **environment,
        "RESTIC_REPOSITORY": f"s3:{endpoint.url}/{bucket}",
        "RESTIC_PASSWORD": "a password",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }
    if endpoint.ca is not None:
        made["RESTIC_CACERT"] = str(endpoint.ca)
    return Tool([str(TOOLS / "restic" / "bin" / "restic")], made, tmp_path)


def test_restic(
    restic: Tool, s3: Any, bucket: str, tmp_path: Path, covered: Callable[[str, Iterable[str]], None]
) -> None:
    files = make_tree(tmp_path / "tree")
    restic("init")
    restic("backup", "tree")
    restic("backup", "--stdin", "--stdin-filename", "piped", stdin=b"from a pipe")
    assert restic("snapshots", "--json").count('"short_id"') == 2
    restic("check", "--read-data")
    restic("restore", "latest", "--path", str(tmp_path / "tree"), "--target", "restored", "--verify")
    (restored,) = (tmp_path / "restored").rglob("tree")
    assert read_tree(restored) == files
    assert restic.attempt("dump", "latest", "/piped").stdout == b"from a pipe"
    restic("forget", "--keep-last", "1", "--prune")
    restic("check")
    (tmp_path / "tree" / "0.txt").unlink()
    restic("backup", "tree")
    assert "0.txt" not in restic("ls", "latest")
    # No lock is left behind.
    assert s3.list_objects_v2(Bucket=bucket, Prefix="locks/")["KeyCount"] == 0
    operations = ["init", "backup", "backup --stdin", "snapshots", "check --read-data", "restore --verify"]
    covered("restic", [*operations, "dump", "forget --prune", "check", "backup again", "ls"])
