"""HTTPS: over it SDKs send bodies unsigned and in chunks, with the checksum behind them.

S3-CHECKLIST 1, 3: ``STREAMING-UNSIGNED-PAYLOAD-TRAILER`` as an SDK makes it.
"""

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from server_process import FIRST, ServerProcess

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Any]:
    tls = {"certificate": str(certificate[0]), "key": str(certificate[1])}
    server = ServerProcess(Path(tmp_path_factory.mktemp("https")), settings={"server": {"tls": tls}})
    try:
        server.start()
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=server.url,
            verify=str(certificate[0]),
            region_name=server.region,
            aws_access_key_id=FIRST.access_key,
            aws_secret_access_key=FIRST.secret_key,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket="tls")
        yield client
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * MIB + 1])
def test_a_body_with_its_checksum_behind_it_is_stored(s3: Any, algorithm: str, size: int) -> None:
    body, seen = os.urandom(size), []

    def look(request: Any, **_: Any) -> None:
        seen.append(request.headers["x-amz-content-sha256"])

    s3.meta.events.register("before-send.s3.PutObject", look)
    reply = s3.put_object(Bucket="tls", Key="k", Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
    s3.meta.events.unregister("before-send.s3.PutObject", look)
    assert seen in (["STREAMING-UNSIGNED-PAYLOAD-TRAILER"], [b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
    got = s3.get_object(Bucket="tls", Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got[f"Checksum{algorithm}"] == reply[f"Checksum{algorithm}"]
    assert "ContentEncoding" not in got


def test_a_transfer_manager_uploads_parts_with_checksums_behind_them(s3: Any) -> None:
    body = os.urandom(17 * MIB)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_fileobj(io.BytesIO(body), "tls", "parts", Config=config)
    assert s3.get_object(Bucket="tls", Key="parts")["Body"].read() == body


def test_a_presigned_url_is_of_https(s3: Any) -> None:
    url = s3.generate_presigned_url("get_object", {"Bucket": "tls", "Key": "parts"})
    assert url.startswith("https://127.0.0.1:")
