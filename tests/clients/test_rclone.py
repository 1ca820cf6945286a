"""rclone: with the provider it recommends for servers it does not know, all else its defaults."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from endpoint import TOOLS, Endpoint
from program import AWKWARD_NAMES, LARGE, SMALL, Tool, fetch, make_tree, read_bucket, read_tree

Covered = Callable[[Iterable[str]], None]
ABOVE_CUTOFF = LARGE * 12
"""It uploads in parts from 200 MiB on."""


@pytest.fixture
def done(covered: Callable[[str, Iterable[str]], None]) -> Covered:
    return lambda operations: covered("rclone", operations)


@pytest.fixture
def rclone(environment: dict[str, str], endpoint: Endpoint, tmp_path: Path) -> Tool:
    """A remote named ``s3``, by the variables that rclone reads."""
    remote = {
        "RCLONE_CONFIG_S3_TYPE": "s3",
        "RCLONE_CONFIG_S3_PROVIDER": "Other",
        "RCLONE_CONFIG_S3_ENV_AUTH": "true",
        "RCLONE_CONFIG_S3_ENDPOINT": endpoint.url,
    }
    return Tool([str(TOOLS / "programs" / "bin" / "rclone")], {**environment, **remote}, tmp_path)


def test_a_tree_is_synchronized_and_checked_both_ways(
    rclone: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    files = make_tree(tmp_path / "up")
    rclone("mkdir", f"s3:{bucket}")
    rclone("sync", "up", f"s3:{bucket}/tree")
    assert read_bucket(s3, bucket, "tree/") == files
    rclone("check", "up", f"s3:{bucket}/tree")
    rclone("check", "--download", "up", f"s3:{bucket}/tree")
    rclone("sync", f"s3:{bucket}/tree", f"s3:{bucket}/copy")
    rclone("sync", f"s3:{bucket}/copy", "down")
    assert read_tree(tmp_path / "down") == files
    (tmp_path / "up" / "0.txt").write_bytes(b"changed")
    assert rclone.attempt("check", "up", f"s3:{bucket}/tree").returncode == 1
    (tmp_path / "up" / "1.txt").unlink()
    rclone("sync", "up", f"s3:{bucket}/tree")
    assert read_bucket(s3, bucket, "tree/") == read_tree(tmp_path / "up")
    done(["mkdir", "sync up", "check", "check --download", "sync between buckets", "sync down", "sync again"])


def test_times_of_files_are_kept(rclone: Tool, bucket: str, tmp_path: Path, done: Covered) -> None:
    make_tree(tmp_path / "up")
    rclone("copy", "up", f"s3:{bucket}")
    rclone("copy", f"s3:{bucket}", "down")
    for name in ("0.txt", "sub/large.bin"):
        assert (tmp_path / "down" / name).stat().st_mtime_ns == (tmp_path / "up" / name).stat().st_mtime_ns
    rclone("touch", "--timestamp", "2020-01-02T03:04:05", f"s3:{bucket}/0.txt")
    assert "2020-01-02 03:04:05" in rclone("lsl", f"s3:{bucket}/0.txt")
    done(["modification times", "touch"])


def test_awkward_keys_are_put_moved_and_got(
    rclone: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    files = {name: name.encode() for name in AWKWARD_NAMES}
    for name, body in files.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(body)
    rclone("copy", "up", f"s3:{bucket}/odd")
    rclone("moveto", f"s3:{bucket}/odd", f"s3:{bucket}/moved")
    rclone("check", "up", f"s3:{bucket}/moved")
    assert read_bucket(s3, bucket) == {f"moved/{name}": body for name, body in files.items()}
    # A key with an empty name between slashes it lists, but has no path for.
    s3.put_object(Bucket=bucket, Key="double//slash", Body=SMALL)
    assert "double//slash" in rclone("lsf", "--recursive", f"s3:{bucket}").split("\n")
    done([f"key with {name}" for name in AWKWARD_NAMES] + ["copy", "moveto", "list a double slash"])


def test_large_objects_are_streamed_copied_and_moved(
    rclone: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    (tmp_path / "large").write_bytes(ABOVE_CUTOFF)
    rclone("copyto", "large", f"s3:{bucket}/large")
    assert "-" in s3.head_object(Bucket=bucket, Key="large")["ETag"]
    rclone("rcat", f"s3:{bucket}/stream", stdin=LARGE)
    rclone("copyto", f"s3:{bucket}/large", f"s3:{bucket}/copy")
    rclone("moveto", f"s3:{bucket}/copy", f"s3:{bucket}/moved")
    rclone("copyto", f"s3:{bucket}/moved", "again")
    assert (tmp_path / "again").read_bytes() == ABOVE_CUTOFF
    assert (
        rclone.attempt("cat", "--offset", "9000000", "--count", "100", f"s3:{bucket}/stream").stdout
        == (LARGE[9000000:9000100])
    )
    done(["put large", "rcat", "copyto", "moveto", "get large", "get ranged"])


def test_many_keys_are_listed_and_deleted(
    rclone: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    for n in range(1500):
        path = tmp_path / "many" / str(n // 500) / f"{n:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    rclone("copy", "--transfers", "16", "many", f"s3:{bucket}/many")
    assert rclone("lsf", f"s3:{bucket}/many").split() == ["0/", "1/", "2/"]
    assert len(rclone("ls", f"s3:{bucket}/many").splitlines()) == 1500
    assert "Total objects: 1.500k (1500)" in rclone("size", f"s3:{bucket}")
    rclone("delete", f"s3:{bucket}/many/0")
    rclone("purge", f"s3:{bucket}")
    assert bucket not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    done(["lsf", "ls of 1,500 keys", "size", "delete", "purge"])


def test_links_are_read_and_metadata_is_kept(
    rclone: Tool, s3: Any, endpoint: Endpoint, bucket: str, tmp_path: Path, done: Covered
) -> None:
    (tmp_path / "up").write_bytes(SMALL)
    rclone("copyto", "--metadata", "--metadata-set", "one=a b", "up", f"s3:{bucket}/a+b %41")
    assert s3.head_object(Bucket=bucket, Key="a+b %41")["Metadata"]["one"] == "a b"
    assert fetch(rclone("link", f"s3:{bucket}/a+b %41").strip(), endpoint.ca) == SMALL
    rclone("cleanup", f"s3:{bucket}")
    done(["metadata", "link", "cleanup"])
