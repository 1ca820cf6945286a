"""aws-sdk-java-v2: the client, S3TransferManager over its own client and over the CRT's, checksums."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint import TOOLS, Endpoint
from program import SDK_OPERATIONS, Tool, run_program

TRANSFERS = [
    "put large",
    "put large stream",
    "put and get empty",
    "get large",
    "copy and move",
    "sync both ways",
]
CHECKSUMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"]
OPERATIONS = [
    *(name for name in SDK_OPERATIONS if name != "put large"),
    *("put stream", "conditional put"),
    *(name + by for name in TRANSFERS for by in ("", " by CRT")),
    *(f"checksum {name}" for name in (*CHECKSUMS, "XXHASH64", "XXHASH3", "XXHASH128")),
]


@pytest.fixture
def java(endpoint: Endpoint, environment: dict[str, str], tmp_path: Path) -> Callable[..., Tool]:
    """``java(properties, arguments)``: the program; Java has its own store of trusted certificates."""
    trust = []
    if endpoint.ca is not None:
        store = str(tmp_path / "trusted.p12")
        made = ["keytool", "-importcert", "-noprompt", "-alias", "test", "-file", str(endpoint.ca)]
        made += ["-keystore", store, "-storetype", "PKCS12", "-storepass", "trusted"]
        subprocess.run(made, check=True, capture_output=True)
        trust = [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=trusted"]

    def program(*properties: str, arguments: tuple[str, ...] = ()) -> Tool:
        classes = f"{TOOLS / 'java' / 'classes'}:{TOOLS / 'java' / 'lib'}/*"
        command = ["/usr/bin/env", "java", "-Dfile.encoding=UTF-8", "-Xshare:auto", *trust, *properties]
        return Tool([*command, "-cp", classes, "Sdk", *arguments], environment, tmp_path)

    return program


def test_sdk_java(java: Callable[..., Tool], s3: Any, bucket: str, covered: Any) -> None:
    run_program(java(), s3, bucket, OPERATIONS)
    covered("aws-sdk-java-v2", OPERATIONS)


def test_sdk_java_puts_the_bucket_into_a_named_host(
    java: Callable[..., Tool], s3: Any, bucket: str, covered: Any, tmp_path: Path
) -> None:
    s3.create_bucket(Bucket=bucket)
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {bucket}.localhost\n")
    program = java(f"-Djdk.net.hosts.file={hosts}", arguments=("virtual-host",))
    run_program(program, s3, bucket, ["virtual host"])
    covered("aws-sdk-java-v2", ["virtual host"])
