"""AWS CLI v2, whose high-level commands are what users mean by "does it work with the CLI".

It is a program with libraries of its own (the AWS CRT among them), not AWS CLI v1 with another number.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from endpoint import TOOLS, Endpoint
from program import AWKWARD_NAMES, LARGE, SMALL, Tool, fetch, make_tree, read_bucket, read_tree

Covered = Callable[[Iterable[str]], None]


@pytest.fixture
def done(covered: Callable[[str, Iterable[str]], None]) -> Covered:
    return lambda operations: covered("AWS CLI v2", operations)


@pytest.fixture
def bucket(s3: Any, bucket: str) -> str:
    s3.create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def aws(environment: dict[str, str], tmp_path: Path) -> Tool:
    return Tool([str(TOOLS / "awscli2" / "dist" / "aws")], environment, tmp_path)


def test_buckets_are_made_listed_and_removed(aws: Tool, bucket: str, done: Covered) -> None:
    aws("s3", "mb", f"s3://{bucket}-new")
    assert f"{bucket}-new" in aws("s3", "ls")
    aws("s3", "cp", "-", f"s3://{bucket}-new/key", stdin=b"x")
    aws("s3", "rb", "--force", f"s3://{bucket}-new")
    assert f"{bucket}-new" not in aws("s3", "ls")
    done(["mb", "ls", "rb --force"])


@pytest.mark.parametrize(("size", "body"), [("small", SMALL), ("empty", b""), ("large", LARGE)])
def test_a_file_comes_back_as_it_went(
    aws: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered, size: str, body: bytes
) -> None:
    (tmp_path / "up").write_bytes(body)
    aws("s3", "cp", "up", f"s3://{bucket}/key")
    aws("s3", "cp", f"s3://{bucket}/key", "down")
    assert (tmp_path / "down").read_bytes() == body
    assert ("-" in s3.head_object(Bucket=bucket, Key="key")["ETag"]) == (size == "large")
    done([f"put {size}", f"get {size}"])


def test_streams_go_both_ways(aws: Tool, s3: Any, bucket: str, done: Covered) -> None:
    aws("s3", "cp", "-", f"s3://{bucket}/stream", stdin=LARGE)
    assert s3.get_object(Bucket=bucket, Key="stream")["Body"].read() == LARGE
    read = aws.attempt("s3", "cp", f"s3://{bucket}/stream", "-")
    assert read.stdout == LARGE
    done(["cp from stdin", "cp to stdout"])


def test_a_tree_is_synchronized_both_ways(
    aws: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    files = make_tree(tmp_path / "up")
    aws("s3", "sync", "up", f"s3://{bucket}/tree")
    assert read_bucket(s3, bucket, "tree/") == files
    aws("s3", "sync", f"s3://{bucket}/tree", f"s3://{bucket}/copy")
    aws("s3", "sync", f"s3://{bucket}/copy", "down")
    assert read_tree(tmp_path / "down") == files
    assert aws("s3", "sync", "up", f"s3://{bucket}/tree") == ""
    (tmp_path / "up" / "0.txt").unlink()
    aws("s3", "sync", "--delete", "up", f"s3://{bucket}/tree")
    assert sorted(read_bucket(s3, bucket, "tree/")) == sorted(set(files) - {"0.txt"})
    done(["sync up", "sync between buckets", "sync down", "sync again", "sync --delete"])


def test_awkward_keys_are_put_listed_moved_and_got(
    aws: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    files = {name: name.encode() for name in AWKWARD_NAMES}
    for name, body in files.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(body)
    aws("s3", "cp", "--recursive", "up", f"s3://{bucket}/odd//")
    listing = aws("s3", "ls", "--recursive", f"s3://{bucket}/")
    assert all(f" odd//{name}\n" in listing for name in files), listing
    aws("s3", "mv", "--recursive", f"s3://{bucket}/odd//", f"s3://{bucket}/moved/")
    assert read_bucket(s3, bucket) == {f"moved/{name}": body for name, body in files.items()}
    aws("s3", "cp", "--recursive", f"s3://{bucket}/moved/", "down")
    assert read_tree(tmp_path / "down") == files
    aws("s3", "rm", f"s3://{bucket}/moved/{AWKWARD_NAMES[-1]}")
    assert len(read_bucket(s3, bucket)) == len(files) - 1
    done([f"key with {name}" for name in AWKWARD_NAMES] + ["mv --recursive"])


def test_large_objects_are_copied_and_moved(aws: Tool, s3: Any, bucket: str, done: Covered) -> None:
    s3.put_object(Bucket=bucket, Key="large", Body=LARGE, ContentType="text/x", Metadata={"one": "1"})
    aws("s3", "cp", f"s3://{bucket}/large", f"s3://{bucket}/copy")
    aws("s3", "mv", f"s3://{bucket}/copy", f"s3://{bucket}/moved")
    found = s3.get_object(Bucket=bucket, Key="moved")
    assert (found["Body"].read() == LARGE, found["ContentType"], found["Metadata"]) == (
        True,
        "text/x",
        {"one": "1"},
    )
    done(["cp in parts", "mv in parts"])


def test_many_keys_are_listed_and_deleted(
    aws: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    for n in range(1500):
        path = tmp_path / "many" / str(n // 500) / f"{n:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    aws("s3", "cp", "--recursive", "--quiet", "many", f"s3://{bucket}/many")
    found = json.loads(aws("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", "many/1/"))
    assert len(found["Contents"]) == 500
    assert aws("s3", "ls", f"s3://{bucket}/many/").split() == ["PRE", "0/", "PRE", "1/", "PRE", "2/"]
    assert len(aws("s3", "ls", "--recursive", f"s3://{bucket}").splitlines()) == 1500
    aws("s3", "rm", "--recursive", "--quiet", f"s3://{bucket}/many")
    assert read_bucket(s3, bucket) == {}
    done(["cp --recursive", "list 1,500 keys", "list with a delimiter", "rm --recursive"])


def test_metadata_ranges_and_conditions(
    aws: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    (tmp_path / "up").write_bytes(SMALL)
    aws("s3", "cp", "up", f"s3://{bucket}/key", "--metadata", "one=1,two=a b", "--content-type", "text/x")
    head = json.loads(aws("s3api", "head-object", "--bucket", bucket, "--key", "key"))
    assert (head["Metadata"], head["ContentType"]) == ({"one": "1", "two": "a b"}, "text/x")
    get = ["s3api", "get-object", "--bucket", bucket, "--key", "key"]
    aws(*get, "--range", "bytes=10-19", "down")
    assert (tmp_path / "down").read_bytes() == SMALL[10:20]
    put = ["s3api", "put-object", "--bucket", bucket, "--body", "up", "--if-none-match", "*"]
    aws(*put, "--key", "once")
    refused = aws.attempt(*put, "--key", "once")
    assert (refused.returncode, b"PreconditionFailed" in refused.stderr) == (254, True)
    done(["metadata", "get ranged", "put if absent"])


def test_presigned_urls_are_read_by_anybody(
    aws: Tool, s3: Any, endpoint: Endpoint, bucket: str, done: Covered
) -> None:
    s3.put_object(Bucket=bucket, Key="a+b c/%41", Body=SMALL)
    url = aws("s3", "presign", f"s3://{bucket}/a+b c/%41").strip()
    assert fetch(url, endpoint.ca) == SMALL
    done(["presign"])


def test_checksums_are_stored_and_checked(
    aws: Tool, s3: Any, bucket: str, tmp_path: Path, done: Covered
) -> None:
    algorithms = ["CRC32C", "CRC64NVME", "SHA1", "SHA256"]
    (tmp_path / "up").write_bytes(LARGE)
    for algorithm in algorithms:
        aws("s3", "cp", "--checksum-algorithm", algorithm, "up", f"s3://{bucket}/{algorithm}")
        head = s3.head_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"]
    aws("s3", "cp", "--checksum-mode", "ENABLED", "--recursive", f"s3://{bucket}/", "down")
    assert read_tree(tmp_path / "down") == dict.fromkeys(algorithms, LARGE)
    done([f"checksum {algorithm}" for algorithm in algorithms])
