"""s5cmd: parallel transfers by the older Go SDK."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from endpoint import TOOLS, Endpoint
from program import AWKWARD_NAMES, LARGE, SMALL, Tool, fetch, make_tree, read_bucket, read_tree

Covered = Callable[[Iterable[str]], None]


@pytest.fixture
def done(covered: Callable[[str, Iterable[str]], None]) -> Covered:
    return lambda operations: covered("s5cmd", operations)


@pytest.fixture
def s5cmd(environment: dict[str, str], endpoint: Endpoint, bucket: str, tmp_path: Path) -> Tool:
    """It takes its endpoint from a variable of its own; the bucket is made with it."""
    made = {**environment, "S3_ENDPOINT_URL": endpoint.url}
    tool = Tool([str(TOOLS / "programs" / "bin" / "s5cmd")], made, tmp_path)
    tool("mb", f"s3://{bucket}")
    return tool


def test_buckets_are_made_listed_and_removed(s5cmd: Tool, bucket: str, done: Covered) -> None:
    assert f"s3://{bucket}" in s5cmd("ls")
    s5cmd("rb", f"s3://{bucket}")
    assert f"s3://{bucket}" not in s5cmd("ls")
    done(["mb", "ls", "rb"])


def test_files_come_back_as_they_went(
    s5cmd: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    # A part has 50 MiB by default.
    files = {"small": SMALL, "empty": b"", "large": LARGE * 3}
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
        s5cmd("cp", name, f"s3://{bucket}/{name}")
        s5cmd("cp", f"s3://{bucket}/{name}", f"down/{name}")
    assert read_tree(tmp_path / "down") == files
    assert "-" in s3.head_object(Bucket=bucket, Key="large")["ETag"]
    assert s5cmd.attempt("cat", f"s3://{bucket}/large").stdout == LARGE * 3
    s5cmd("pipe", f"s3://{bucket}/piped", stdin=SMALL)
    assert s5cmd.attempt("cat", f"s3://{bucket}/piped").stdout == SMALL
    done(["put small", "put empty", "put large", "get", "cat", "pipe"])


def test_a_tree_is_synchronized_both_ways(
    s5cmd: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    files = make_tree(tmp_path / "up")
    s5cmd("sync", "up/", f"s3://{bucket}/tree/")
    assert read_bucket(s3, bucket, "tree/") == files
    s5cmd("sync", f"s3://{bucket}/tree/*", f"s3://{bucket}/copy/")
    s5cmd("sync", f"s3://{bucket}/copy/*", "down/")
    assert read_tree(tmp_path / "down") == files
    assert s5cmd("sync", f"s3://{bucket}/copy/*", "down/") == ""
    (tmp_path / "up" / "0.txt").unlink()
    s5cmd("sync", "--delete", "up/", f"s3://{bucket}/tree/")
    assert sorted(read_bucket(s3, bucket, "tree/")) == sorted(set(files) - {"0.txt"})
    done(["sync up", "sync between buckets", "sync down", "sync again", "sync --delete"])


def test_awkward_keys_are_put_moved_and_got(
    s5cmd: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    (tmp_path / "up").write_bytes(SMALL)
    for name in AWKWARD_NAMES:
        s5cmd("cp", "up", f"s3://{bucket}/odd//{name}")
        s5cmd("mv", f"s3://{bucket}/odd//{name}", f"s3://{bucket}/moved/{name}")
        assert s5cmd.attempt("cat", f"s3://{bucket}/moved/{name}").stdout == SMALL
    assert sorted(read_bucket(s3, bucket)) == sorted(f"moved/{name}" for name in AWKWARD_NAMES)
    done([f"key with {name}" for name in AWKWARD_NAMES] + ["mv"])


def test_many_keys_are_put_listed_and_deleted(
    s5cmd: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    for n in range(1500):
        path = tmp_path / "many" / str(n // 500) / f"{n:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    s5cmd("cp", "many/", f"s3://{bucket}/many/")
    assert len(s5cmd("ls", f"s3://{bucket}/many/*").splitlines()) == 1500
    assert s5cmd("ls", f"s3://{bucket}/many/").split() == ["DIR", "0/", "DIR", "1/", "DIR", "2/"]
    assert "1500 bytes in 1500 objects" in s5cmd("du", f"s3://{bucket}/many/*")
    s5cmd("rm", f"s3://{bucket}/many/*")
    assert read_bucket(s3, bucket) == {}
    done(["cp of a folder", "list 1,500 keys", "list with a delimiter", "du", "rm with a wildcard"])


def test_metadata_is_kept_and_presigned_urls_are_read(
    s5cmd: Tool, s3: Any, endpoint: Endpoint, bucket: str, tmp_path: Path, done: Covered
) -> None:
    (tmp_path / "up").write_bytes(SMALL)
    s5cmd("cp", "--metadata", "one=a b", "--content-type", "text/x", "up", f"s3://{bucket}/a+b %41")
    found = s3.head_object(Bucket=bucket, Key="a+b %41")
    assert (found["Metadata"], found["ContentType"]) == ({"one": "a b"}, "text/x")
    assert fetch(s5cmd("presign", f"s3://{bucket}/a+b %41").strip(), endpoint.ca) == SMALL
    done(["metadata", "presigned GET"])
