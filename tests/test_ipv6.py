"""A server that listens on IPv6 alone, as clients see it whose endpoint is an address in brackets."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import Config
from expectations import Answer, send
from server_process import FIRST, PATIENCE, ServerProcess, answers, command, environment

HOST = "::1"
BUCKET = "six"


class Ipv6Server(ServerProcess):
    """A server on ``::1``."""

    @property
    def url(self) -> str:
        return f"http://[{HOST}]:{self.port}"


def has_loopback() -> bool:
    """Whether this machine's kernel has ``::1``."""
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind((HOST, 0))
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ipv6Server]:
    server = Ipv6Server(tmp_path_factory.mktemp("ipv6"), settings={"server": {"host": HOST}})
    if not has_loopback():
        with pytest.raises(RuntimeError, match=r"\[::1\]:0: .*address"):
            server.start()
        pytest.skip("the kernel has no ::1, and the server said so")
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def s3(server: Ipv6Server) -> Any:
    """A client with default settings."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=server.url,
        region_name=server.region,
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
    )
    client.create_bucket(Bucket=BUCKET)
    return client


def test_the_endpoint_is_printed_in_brackets(server: Ipv6Server) -> None:
    printed = server.log.read_text()
    assert f"endpoint    http://[::1]:{server.port}\n" in printed
    assert f"--endpoint-url http://[::1]:{server.port} s3 ls" in printed


def test_it_listens_nowhere_else(server: Ipv6Server) -> None:
    assert answers(server.url)
    assert not answers(f"http://127.0.0.1:{server.port}")


def test_objects_go_both_ways(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a b+ü", Body=b"content")
    assert s3.get_object(Bucket=BUCKET, Key="a b+ü")["Body"].read() == b"content"
    assert s3.copy_object(Bucket=BUCKET, Key="c", CopySource=f"{BUCKET}/a b+ü")["CopyObjectResult"]["ETag"]
    listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {"a b+ü", "c"} <= {entry["Key"] for entry in listed}


def test_presigned_urls_hold(s3: Any, server: Ipv6Server) -> None:
    put = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "presigned"})
    assert put.startswith(f"http://[::1]:{server.port}/{BUCKET}/")
    assert send(put, "PUT", b"content", {}).status == 200
    get = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "presigned"})
    assert send(get, "GET", None, {}).body == b"content"


def test_a_completed_upload_is_where_the_client_asked_for_it(s3: Any, server: Ipv6Server) -> None:
    """S3-CHECKLIST 53."""
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    names = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
    etag = s3.upload_part(**names, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    done = s3.complete_multipart_upload(**names, MultipartUpload=parts)
    assert done["Location"] == f"{server.url}/{BUCKET}/parts"


def test_buckets_are_named_by_the_host_too(s3: Any, server: Ipv6Server) -> None:
    """S3-CHECKLIST 17: by a name; an address in brackets names none."""
    named = boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://localhost:{server.port}",
        region_name=server.region,
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"content")
    url = named.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "k"})
    host = f"{BUCKET}.localhost:{server.port}"
    assert url.startswith(f"http://{host}/k?")
    answer = send(url.replace(host, f"[::1]:{server.port}"), "GET", None, {"Host": host})
    assert (answer.status, answer.body) == (200, b"content")


def test_a_policy_knows_the_client_s_address(s3: Any, server: Ipv6Server) -> None:
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"content")
    s3.delete_public_access_block(Bucket=BUCKET)

    def anonymous(network: str) -> Answer:
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
            "Condition": {"IpAddress": {"aws:SourceIp": network}},
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
        return send(f"{server.url}/{BUCKET}/k", "GET", None, {})

    assert anonymous("::1/128").status == 200
    assert anonymous("2001:db8::/32").status == 403


def test_a_port_that_is_taken_is_named_in_brackets(server: Ipv6Server, tmp_path: Path) -> None:
    arguments = ["serve", str(tmp_path / "data"), "--host", HOST, "--port", str(server.port)]
    done = subprocess.run(
        command() + arguments, capture_output=True, text=True, env=environment(), timeout=PATIENCE
    )
    assert done.returncode == 2
    assert f"[::1]:{server.port}: is already in use" in done.stderr
