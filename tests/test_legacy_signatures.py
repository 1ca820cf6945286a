"""Signature Version 2 as boto3 makes it by default in us-east-1, with ``auth.legacy_sigv2`` and without.

boto3 presigns URLs and forms with Version 2 there; headers only where it is told ``s3``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import Config
from expectations import Answer, fetch, send
from server_process import FIRST, ServerProcess

SETTINGS = ("off", "presigned", "all")
BOUNDARY = "boundary"


@pytest.fixture(scope="module", params=SETTINGS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp(f"sigv2-{request.param}")
    server = ServerProcess(Path(folder), settings={"auth": {"legacy_sigv2": request.param}})
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.fixture(scope="module")
def setting(server: ServerProcess) -> str:
    return str(server.settings["auth"]["legacy_sigv2"])  # type: ignore[index]


@pytest.fixture(scope="module")
def make_client(server: ServerProcess) -> Callable[..., Any]:
    def make(**config: Any) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=FIRST.access_key,
            aws_secret_access_key=FIRST.secret_key,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    return make


@pytest.fixture(scope="module")
def s3(make_client: Callable[..., Any]) -> Any:
    client = make_client()
    client.create_bucket(Bucket="legacy")
    client.put_object(Bucket="legacy", Key="a b/ü+", Body=b"content")
    return client


def url_of(s3: Any, operation: str = "get_object", **parameters: Any) -> str:
    url = s3.generate_presigned_url(operation, {"Bucket": "legacy", "Key": "a b/ü+", **parameters})
    assert "AWSAccessKeyId=" in url, "boto3 has stopped making Version 2"
    return str(url)


def expected(setting: str, answer: Answer, status: int = 200) -> bool:
    """Whether Version 2 is taken; where it is not, the answer must say what to do."""
    if setting != "off":
        assert answer.status == status, answer
        return True
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert b"AWS4-HMAC-SHA256" in answer.body
    return False


def test_a_presigned_get_is_taken_where_the_setting_says_so(s3: Any, setting: str) -> None:
    """S3-CHECKLIST 55."""
    answer = fetch(url_of(s3))
    assert not expected(setting, answer) or answer.body == b"content"


def test_what_the_url_overrides_is_signed(s3: Any, setting: str) -> None:
    url = url_of(s3, ResponseContentType="text/x-test")
    if expected(setting, answer := fetch(url)):
        assert answer.headers["content-type"] == "text/x-test"
        assert fetch(url.replace("x-test", "x-evil")).code == "SignatureDoesNotMatch"


def test_a_presigned_put_carries_its_headers(s3: Any, setting: str) -> None:
    url = url_of(s3, "put_object", Key="put", ContentType="text/x-test", Metadata={"a": "1"})
    if expected(setting, send(url, "PUT", b"new", {"Content-Type": "text/x-test"})):
        reply = s3.get_object(Bucket="legacy", Key="put")
        assert (reply["Body"].read(), reply["Metadata"]) == (b"new", {"a": "1"})
        assert reply["ContentType"] == "text/x-test"
        assert send(url, "PUT", b"new", {"x-amz-acl": "public-read"}).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("change", ["&versionId=null", "&acl", "&tagging", "&uploads", "&attributes"])
def test_a_signature_says_nothing_about_another_operation(s3: Any, setting: str, change: str) -> None:
    answer = fetch(url_of(s3) + change)
    assert answer.status in (400, 403, 405)


def test_a_url_is_for_one_method_and_one_key(s3: Any, setting: str) -> None:
    url = url_of(s3)
    assert send(url, "DELETE", None, {}).status in (400, 403)
    assert fetch(url.replace("a%20b", "a%20c")).status in (400, 403)
    assert fetch(url.replace("Signature=", "Signature=A")).status in (400, 403)


def test_an_expired_url_is_refused(s3: Any, setting: str) -> None:
    url = s3.generate_presigned_url("get_object", {"Bucket": "legacy", "Key": "a b/ü+"}, ExpiresIn=-10)
    answer = fetch(url)
    assert answer.code == ("InvalidRequest" if setting == "off" else "AccessDenied")


def test_a_form_is_taken_where_the_setting_says_so(s3: Any, setting: str) -> None:
    made = s3.generate_presigned_post("legacy", "form/${filename}")
    assert "AWSAccessKeyId" in made["fields"], "boto3 has stopped making Version 2"
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in made["fields"].items()
    ]
    file = 'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\ncontent'
    body = "".join(parts) + f"--{BOUNDARY}\r\n{file}\r\n--{BOUNDARY}--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    if expected(setting, send(made["url"], "POST", body.encode(), headers), 204):
        assert s3.get_object(Bucket="legacy", Key="form/f")["Body"].read() == b"content"


def test_headers_are_taken_only_where_all_is_set(
    make_client: Callable[..., Any], s3: Any, setting: str
) -> None:
    old = make_client(signature_version="s3")
    if setting == "all":
        assert old.get_object(Bucket="legacy", Key="a b/ü+")["Body"].read() == b"content"
        old.put_object(Bucket="legacy", Key="old", Body=b"x", Metadata={"b": "2", "a": "1"})
        assert [e["Key"] for e in old.list_objects_v2(Bucket="legacy", Prefix="old")["Contents"]] == ["old"]
        virtual = make_client(signature_version="s3", s3={"addressing_style": "path"})
        assert virtual.head_object(Bucket="legacy", Key="old")["Metadata"] == {"a": "1", "b": "2"}
        return
    with pytest.raises(s3.exceptions.ClientError) as caught:
        old.list_objects_v2(Bucket="legacy")
    assert caught.value.response["Error"]["Code"] == "InvalidRequest"


def test_the_log_says_what_to_set(server: ServerProcess, setting: str) -> None:
    send(server.url, "GET", None, {"Authorization": f"AWS {FIRST.access_key}:c2lnbmF0dXJl"})
    assert ("auth.legacy_sigv2" in server.log.read_text()) is (setting != "all")
