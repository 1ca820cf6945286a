"""``bleepstore conformance`` out of the wheel: a server that is right passes, and nothing stays behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from bleepstore.testing.s3.buckets import Ledger, connect, remove
from bleepstore.testing.s3.target import Account, Target
from server_process import FIRST, SECOND, ServerProcess

CORE = Path(__file__).parents[1] / "core"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("conformance"))
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core as its wheel has it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", str(folder), str(CORE)], check=True, timeout=120)
    return folder


def conformance(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "AWS_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "bleepstore", "conformance", *options],
        env={**kept, **environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_kit_of_the_wheel_passes_in_every_area_it_is_asked_and_leaves_no_bucket(
    server: ServerProcess, installed: Path
) -> None:
    done = conformance(
        installed,
        *(
            "--endpoint",
            server.url,
            "--json",
            "report.json",
            "-k",
            "ranges or TestAnotherAccount or bucket_names",
        ),
        *("--access-key", FIRST.access_key, "--secret-key", FIRST.secret_key),
        *("--alt-access-key", SECOND.access_key, "--alt-secret-key", SECOND.secret_key),
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    report = json.loads((installed / "report.json").read_text())
    assert report["areas"]["ranges"]["passed"] >= 15
    assert report["areas"]["acls"]["passed"] >= 10
    assert report["total"] == {"passed": len(report["results"]), "failed": 0, "skipped": 0}
    assert report["left_behind"] == {}
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
    )
    assert client.list_buckets()["Buckets"] == []


def test_credentials_and_region_are_found_where_boto3_finds_them(
    server: ServerProcess, installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text(
        f"[kit]\naws_access_key_id = {FIRST.access_key}\naws_secret_access_key = {FIRST.secret_key}\n"
    )
    (tmp_path / "config").write_text(
        "[profile kit]\nregion = us-east-1\ns3 =\n  addressing_style = virtual\n"
    )
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    wrong = {"BLEEPSTORE_AUTH_ACCESS_KEY": "nobody", "BLEEPSTORE_AUTH_SECRET_KEY": "nothing"}
    chosen = ("--endpoint", server.url, "-k", "bodies_of_all_sizes")
    assert conformance(installed, *chosen, "--profile", "kit", **files, **wrong).returncode == 0
    assert conformance(installed, *chosen, **files, AWS_PROFILE="kit").returncode == 0
    refused = conformance(installed, *chosen, **files, **wrong)
    assert refused.returncode == 2
    assert "does not list buckets: InvalidAccessKeyId 403" in refused.stderr


def test_what_a_test_left_is_removed_and_what_was_there_before_is_not(server: ServerProcess) -> None:
    target = Target(server.url, Account(FIRST.access_key, FIRST.secret_key))
    plain = connect(server.url, target, target.first)
    before, made = target.new_name("before"), target.new_name("made")
    plain.create_bucket(Bucket=before)
    plain.put_object(Bucket=before, Key="k", Body=b"kept")
    ledger = Ledger(before={before})
    client = ledger.watch(connect(server.url, target, target.first))
    for name in (before, made):
        client.create_bucket(Bucket=name)  # in us-east-1 again is no error
    client.put_object(Bucket=made, Key="k", Body=b"x")
    client.create_multipart_upload(Bucket=made, Key="u")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{made}*"}
    client.put_bucket_policy(
        Bucket=made, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "s", **deny}]})
    )
    try:
        assert ledger.sweep() == {}
        assert [bucket["Name"] for bucket in plain.list_buckets()["Buckets"]] == [before]
        assert plain.get_object(Bucket=before, Key="k")["Body"].read() == b"kept"
    finally:
        remove(plain, before)
