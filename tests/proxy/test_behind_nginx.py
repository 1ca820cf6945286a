"""Behind a reverse proxy that ends TLS: S3-CHECKLIST 13, and what S3 promises beyond one hop."""

import hashlib
import io
import json
import random
import time
from pathlib import Path

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from expectations import refused, send
from nginx import SITE
from raw_http import request_bytes
from server_process import FIRST, Account
from sigv4_by_hand import Signer

MIB = 1024 * 1024
PART = 5 * MIB
KEYS = ["a b", "a+b", "a%2Fb", "a=b&c", "ü/é", "//two//", "tail/", "~!*'()", "a?b#c", "_-."]


def body_of(size):
    return random.Random(size).randbytes(size)


def statement(bucket, **more):
    return {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        **more,
    }


def set_policy(s3, bucket, *statements):
    s3.delete_public_access_block(Bucket=bucket)
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def written(server):
    """The files that the server is writing, by name, with their sizes."""
    return {path.name: path.stat().st_size for path in (server.directory / "data/objects/tmp").iterdir()}


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# --- signatures and addresses -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_keys_go_through_as_they_were_signed(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"content", Metadata={"a_b.c": "x"})
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    reply = s3.get_object(Bucket=bucket, Key=key)
    assert (reply["Body"].read(), reply["Metadata"]) == (b"content", {"a_b.c": "x"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    s3.delete_object(Bucket=bucket, Key=key)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["copy"]


def test_a_wrong_secret_is_still_a_wrong_secret(make_client, s3, bucket):
    with refused("SignatureDoesNotMatch", 403):
        make_client(account=Account(FIRST.access_key, "not it")).list_objects_v2(Bucket=bucket)


def test_buckets_are_named_by_the_host_too(proxy, make_client):
    """S3-CHECKLIST 17."""
    for port, name in ((proxy.port, "by-host-one"), (proxy.forwarding_port, "by-host-two")):
        virtual = make_client(port, style="virtual")
        virtual.create_bucket(Bucket=name)
        seen = []
        virtual.meta.events.register("before-send.s3", lambda request, seen=seen, **_: seen.append(request))
        virtual.put_object(Bucket=name, Key="a/b c", Body=b"content")
        assert [request.headers["Host"] for request in seen] == [f"{name}.{SITE}"]
        assert virtual.get_object(Bucket=name, Key="a/b c")["Body"].read() == b"content"


def test_presigned_urls_are_of_the_site_and_hold_behind_it(s3, proxy, bucket):
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a b+ü"})
    assert put.startswith(f"https://{SITE}/{bucket}/")
    assert proxy.fetch(put, "PUT", b"content").status == 200
    get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b+ü"})
    answer = proxy.fetch(get, headers={"Range": "bytes=3-"})
    assert (answer.status, answer.body) == (206, b"tent")
    other = get.replace(f"https://{SITE}/", "https://other.example.com/")
    assert proxy.fetch(other).code == "SignatureDoesNotMatch"


def test_a_completed_upload_is_where_the_client_asked_for_it(make_client, proxy, s3, bucket):
    """S3-CHECKLIST 53: scheme and host are those of the site."""
    virtual = make_client(proxy.port, style="virtual")
    for client, location in (
        (s3, f"https://{SITE}/{bucket}/a"),
        (virtual, f"https://{bucket}.{SITE}/a"),
    ):
        upload = client.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
        names = {"Bucket": bucket, "Key": "a", "UploadId": upload}
        etag = client.upload_part(**names, PartNumber=1, Body=b"x")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        assert client.complete_multipart_upload(**names, MultipartUpload=parts)["Location"] == location


def test_a_form_is_told_where_its_object_is(s3, proxy, bucket):
    form = s3.generate_presigned_post(bucket, "k")
    lead = "--b\r\nContent-Disposition: form-data; name="
    fields = "".join(f'{lead}"{name}"\r\n\r\n{value}\r\n' for name, value in form["fields"].items())
    body = f'{fields}{lead}"file"; filename="f"\r\n\r\ncontent\r\n--b--\r\n'.encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = proxy.fetch(form["url"], "POST", body, headers)
    assert (answer.status, answer.headers["location"]) == (204, f"https://{SITE}/{bucket}/k")


# --- bodies ---------------------------------------------------------------------------------------------


def test_bodies_in_chunks_with_their_checksum_behind_them_arrive(s3, bucket):
    """S3-CHECKLIST 1: what SDKs send over TLS, with and without a length that they know."""
    body, seen = body_of(3 * MIB + 1), []

    def look(request, **_):
        seen.append((request.headers["x-amz-content-sha256"], request.headers.get("Transfer-Encoding")))

    s3.meta.events.register("before-send.s3.PutObject", look)
    put = s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(body), ChecksumAlgorithm="SHA256")
    s3.meta.events.unregister("before-send.s3.PutObject", look)
    assert [str(framing) for framing, _ in seen] in (
        ["STREAMING-UNSIGNED-PAYLOAD-TRAILER"],
        ["b'STREAMING-UNSIGNED-PAYLOAD-TRAILER'"],
    )
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got["ChecksumSHA256"] == put["ChecksumSHA256"]
    assert "ContentEncoding" not in got


def test_chunks_that_are_signed_arrive(proxy, bucket):
    target = f"/{bucket}/k"
    pieces = [body_of(64 * 1024), b"rest"]
    given = {
        "Host": SITE,
        "x-amz-decoded-content-length": str(sum(map(len, pieces))),
        "Content-Encoding": "aws-chunked",
    }
    signer = Signer(FIRST.access_key, FIRST.secret_key)
    signed = signer.sign("PUT", target, given, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    body, _ = signed.chunks(pieces)
    headers = {**signed.headers, "Content-Length": str(len(body))}
    with proxy.connect() as connection:
        connection.send(request_bytes("PUT", target, headers, body))
        assert connection.reply().status == 200
        connection.send(request_bytes("GET", signer.presign("GET", SITE, target), {"Host": SITE}))
        assert connection.reply().body == b"".join(pieces)


def test_large_objects_go_both_ways_in_parts_at_once(s3, bucket, tmp_path: Path):
    body = body_of(64 * MIB)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=8)
    s3.upload_fileobj(io.BytesIO(body), bucket, "large", Config=config)
    s3.download_file(bucket, "large", str(tmp_path / "large"), Config=config)
    assert (tmp_path / "large").read_bytes() == body
    whole = hashlib.md5()
    for piece in s3.get_object(Bucket=bucket, Key="large")["Body"].iter_chunks(MIB):
        whole.update(piece)
    assert whole.digest() == hashlib.md5(body).digest()


def test_an_upload_reaches_the_server_before_it_is_over(server, proxy, s3, bucket):
    body = body_of(16 * MIB)
    target = Signer(FIRST.access_key, FIRST.secret_key).presign("PUT", SITE, f"/{bucket}/k")
    headers = {"Host": SITE, "Content-Length": str(len(body))}
    with proxy.connect() as connection:
        connection.send(request_bytes("PUT", target, headers, body[: len(body) // 2]))
        wait_until(lambda: sum(written(server).values()) >= 4 * MIB)
        connection.send(body[len(body) // 2 :])
        assert connection.reply().status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_an_upload_that_breaks_off_leaves_nothing(server, proxy, s3, bucket):
    target = Signer(FIRST.access_key, FIRST.secret_key).presign("PUT", SITE, f"/{bucket}/k")
    with proxy.connect() as connection:
        headers = {"Host": SITE, "Content-Length": str(16 * MIB)}
        connection.send(request_bytes("PUT", target, headers, body_of(8 * MIB)))
        wait_until(lambda: written(server))
    wait_until(lambda: not written(server))
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_who_expects_it_is_told_to_continue(proxy, bucket):
    """S3-CHECKLIST 9."""
    target = Signer(FIRST.access_key, FIRST.secret_key).presign("PUT", SITE, f"/{bucket}/k")
    headers = {"Host": SITE, "Content-Length": "7", "Expect": "100-continue"}
    with proxy.connect() as connection:
        connection.send(request_bytes("PUT", target, headers))
        assert connection.reply().status == 100
        connection.send(b"content")
        assert connection.reply().status == 200
        connection.send(request_bytes("PUT", target, headers))
        assert connection.reply().status == 100
        connection.send(b"another")
        assert connection.reply().status == 200


def test_a_large_upload_that_is_refused_at_once_reads_why(make_client, bucket):
    """The proxy passes the early answer on while the client is still sending."""
    stranger = make_client(account=Account("nobody", "knows"))
    with refused("InvalidAccessKeyId", 403):
        stranger.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(body_of(32 * MIB)))


def test_replies_without_a_body_keep_the_connection(proxy, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"content")["ETag"]
    signer = Signer(FIRST.access_key, FIRST.secret_key)
    with proxy.connect() as connection:
        for method, more, status in (
            ("HEAD", {}, 200),
            ("GET", {"If-None-Match": etag}, 304),
            ("GET", {"Range": "bytes=100-"}, 416),
            ("HEAD", {"If-Match": '"0"'}, 412),
            ("DELETE", {}, 204),
            ("HEAD", {}, 404),
        ):
            target = signer.presign(method, SITE, f"/{bucket}/k")
            connection.send(request_bytes(method, target, {"Host": SITE, **more}))
            assert connection.reply(head=method == "HEAD").status == status


# --- who is believed --------------------------------------------------------------------------------------


@pytest.fixture
def direct(server):
    """``direct(bucket, key, **headers)``: an unsigned GET past the proxy, which nobody trusts."""

    def get(bucket, key, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return send(f"{server.url}/{bucket}/{key}", "GET", None, named)

    return get


def test_the_client_s_address_is_what_the_proxy_saw(s3, proxy, bucket, direct):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    only = {"IpAddress": {"aws:SourceIp": "127.0.0.7/32"}}
    set_policy(s3, bucket, statement(bucket, Condition=only))
    url = f"https://{SITE}/{bucket}/k"
    assert proxy.fetch(url, source="127.0.0.7").status == 200
    assert proxy.fetch(url, source="127.0.0.8").status == 403
    # What a client says of itself is nothing that the proxy saw.
    assert proxy.fetch(url, headers={"X-Forwarded-For": "127.0.0.7"}, source="127.0.0.8").status == 403
    assert direct(bucket, "k", X_Forwarded_For="127.0.0.7").status == 403


def test_what_comes_through_the_proxy_came_over_tls(s3, proxy, bucket, direct):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    secure = {"Bool": {"aws:SecureTransport": "true"}}
    set_policy(s3, bucket, statement(bucket, Condition=secure))
    assert proxy.fetch(f"https://{SITE}/{bucket}/k").status == 200
    assert direct(bucket, "k", X_Forwarded_Proto="https").status == 403


def test_nobody_else_is_believed_about_host_and_scheme(server, bucket):
    """S3-CHECKLIST 13."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )

    def forge(request, **_):
        request.headers["X-Forwarded-Host"] = f"other.{SITE}"
        request.headers["X-Forwarded-Proto"] = "https"

    client.meta.events.register("before-send.s3", forge)
    upload = client.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    names = {"Bucket": bucket, "Key": "a", "UploadId": upload}
    etag = client.upload_part(**names, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    done = client.complete_multipart_upload(**names, MultipartUpload=parts)
    assert done["Location"] == f"{server.url}/{bucket}/a"
