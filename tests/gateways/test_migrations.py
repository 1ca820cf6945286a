"""`bleepstore import` from other servers, and `bleepstore export` to them, as a migration does it.

Nothing of the source needs BleepStore, and its own SDK has written it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws
import boto3
import pytest
from botocore.config import Config
from server_process import FIRST, ServerProcess, command

BIG = bytes(range(256)) * (13 * 4096)
HEADERS = ("ContentType", "CacheControl", "ContentDisposition", "ContentLanguage", "ContentEncoding")
WORDS = "=?UTF-8?Q?Z=C3=BCrich?="
OBJECTS: dict[str, dict[str, Any]] = {
    "2024/z\u00fcrich.jpg": {
        "Body": b"jpg" * 1000,
        "ContentType": "image/jpeg",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.jpg"',
        "ContentLanguage": "de",
        "Metadata": {"who": "me", "where": WORDS},
    },
    "a b+c%20&d": {"Body": b"odd", "ContentType": "text/plain"},
    "data.gz": {"Body": b"\x1f\x8b", "ContentType": "text/csv", "ContentEncoding": "gzip"},
    "empty": {"Body": b"", "ContentType": "text/plain"},
}


def run(directory: Path, *arguments: str) -> tuple[int, list[str], str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BLEEPSTORE_"))}
    name, *options = arguments
    done = subprocess.run(
        [*command(), name, str(directory / "data"), *options],
        env={**environ, **aws.KEYS, "AWS_EC2_METADATA_DISABLED": "true"},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def fill(client: Any) -> None:
    client.create_bucket(Bucket="photos")
    for key, described in OBJECTS.items():
        client.put_object(Bucket="photos", Key=key, **described)
    upload = {"Bucket": "photos", "Key": "big"}
    upload["UploadId"] = client.create_multipart_upload(**upload, ContentType="video/mp4")["UploadId"]
    cut = 5 * 1024 * 1024
    parts = [
        {"PartNumber": n, "ETag": client.upload_part(**upload, PartNumber=n, Body=body)["ETag"]}
        for n, body in ((1, BIG[:cut]), (2, BIG[cut:]))
    ]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def check(client: Any, *, words: str | None = None, big: str | None = None) -> None:
    """Everything is there as it was. ``big``: the ETag of the object of parts."""
    listed = client.list_objects_v2(Bucket="photos")["Contents"]
    assert sorted(entry["Key"] for entry in listed) == sorted([*OBJECTS, "big"])
    for key, described in OBJECTS.items():
        got = client.get_object(Bucket="photos", Key=key)
        assert got["Body"].read() == described["Body"]
        assert got["ETag"].strip('"') == hashlib.md5(described["Body"]).hexdigest()
        for field in (
            "ContentType",
            "CacheControl",
            "ContentDisposition",
            "ContentLanguage",
            "ContentEncoding",
        ):
            assert got.get(field) == described.get(field), (key, field)
        expected = dict(described.get("Metadata", {}))
        if words is not None and "where" in expected:
            expected["where"] = words
        assert got["Metadata"] == expected
    got = client.get_object(Bucket="photos", Key="big")
    assert (got["Body"].read() == BIG, got["ContentType"]) == (True, "video/mp4")
    if big is not None:
        assert got["ETag"] == big


def client_of(server: ServerProcess) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.mark.parametrize("name", ["moto", "seaweedfs"])
def test_everything_moves_in_from_another_server_and_out_again(name: str, tmp_path: Path) -> None:
    start: Callable[..., Any] = aws.UPSTREAMS[name]
    server = ServerProcess(tmp_path / "server", settings={"plugins": {"disabled": ["aws", "gcp", "azure"]}})
    server.configure()
    where = ["--config", "bleepstore.yaml", "--endpoint"]
    # What BleepStore sends of text that is not ASCII, it sends as RFC 2047 words of another form.
    said = "=?UTF-8?B?WsO8cmljaA==?="
    with start(tmp_path / "from") as source:
        there = source.client()
        fill(there)
        big = there.head_object(Bucket="photos", Key="big")["ETag"]
        code, lines, said_wrong = run(
            tmp_path / "server", "import", "s3://", "--bucket", "photos", "--verify", *where, source.url
        )
        assert (code, said_wrong) == (0, ""), lines
        assert lines[-1].endswith("5 imported: clean")
        code, lines, _ = run(tmp_path / "server", "import", "s3://photos", *where, source.url)
        assert (code, lines) == (0, ["5 objects, 5 here already: clean"])
        there.close()
    server.start()
    try:
        here = client_of(server)
        check(here, words=said, big=big)
        here.close()
        assert server.stop() == 0
    finally:
        server.kill()
    with start(tmp_path / "to") as target:
        there = target.client()
        code, lines, said_wrong = run(tmp_path / "server", "export", "s3://", "--verify", *where, target.url)
        assert (code, said_wrong) == (0, ""), lines
        check(there, words=said)
        code, lines, _ = run(tmp_path / "server", "export", "s3://", *where, target.url)
        assert (code, lines) == (0, ["5 objects, 5 there already: clean"])
        there.close()
