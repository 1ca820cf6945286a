"""boto3: the client, its transfer manager, paginators and presigned URLs."""

import io
import urllib.request

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError
from exercise import (
    AWKWARD_KEYS,
    BUCKET,
    DOUBLE_SLASH,
    LARGE,
    MANY,
    SMALL,
    doing,
    finish,
    stored,
    tls_context,
)

s3 = boto3.client("s3")


def body_of(key: str, **options: object) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key, **options)["Body"].read()


def keys_below(prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


with doing("create bucket"):
    s3.create_bucket(Bucket=BUCKET)
    s3.get_waiter("bucket_exists").wait(Bucket=BUCKET)
    assert BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]]

with doing("put small"):
    s3.put_object(Bucket=BUCKET, Key="small", Body=SMALL)
    stored("small", SMALL)
with doing("put empty"):
    s3.put_object(Bucket=BUCKET, Key="empty")
    stored("empty", b"")
with doing("put what cannot seek"):
    s3.upload_fileobj(io.BufferedReader(io.BytesIO(SMALL)), BUCKET, "stream")
    stored("stream", SMALL)
with doing("put large"):
    s3.upload_fileobj(io.BytesIO(LARGE), BUCKET, "large")
    assert "-" in s3.head_object(Bucket=BUCKET, Key="large")["ETag"]
    stored("large", LARGE)

with doing("get"):
    assert body_of("small") == SMALL
    assert body_of("empty") == b""
with doing("get ranged"):
    assert body_of("small", Range="bytes=10-19") == SMALL[10:20]
    assert body_of("small", Range="bytes=-5") == SMALL[-5:]
    assert body_of("large", Range="bytes=9000000-9000099") == LARGE[9000000:9000100]
with doing("get large in parallel"):
    target = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", target)
    assert target.getvalue() == LARGE

with doing("metadata"):
    given = {"one": "1", "two-words": "a b, c"}
    s3.put_object(
        Bucket=BUCKET, Key="meta", Body=b"m", Metadata=given, ContentType="text/x", CacheControl="no-cache"
    )
    found = s3.head_object(Bucket=BUCKET, Key="meta")
    assert (found["Metadata"], found["ContentType"], found["CacheControl"]) == (given, "text/x", "no-cache")

for key in (*AWKWARD_KEYS, DOUBLE_SLASH):
    with doing(f"key {key}"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        assert body_of(key) == key.encode()
        assert keys_below(key) == [key]
        s3.copy_object(Bucket=BUCKET, Key=f"copies/{key}", CopySource={"Bucket": BUCKET, "Key": key})
        stored(f"copies/{key}", key.encode())

with doing("copy large"):
    s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "large-copy")
    stored("large-copy", LARGE)
with doing("move"):
    s3.copy_object(Bucket=BUCKET, Key="moved", CopySource={"Bucket": BUCKET, "Key": "meta"})
    s3.delete_object(Bucket=BUCKET, Key="meta")
    assert s3.head_object(Bucket=BUCKET, Key="moved")["Metadata"] == given

with doing("list 1500 keys"):
    for key in MANY:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    assert keys_below("many/") == sorted(MANY)
    pages = list(s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="many/"))
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == sorted(MANY)
with doing("list with a delimiter"):
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix="many/", Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["many/0/", "many/1/", "many/2/"]
    assert "Contents" not in page

with doing("delete many"):
    for first in range(0, len(MANY), 1000):
        names = [{"Key": key} for key in MANY[first : first + 1000]]
        reply = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": names})
        assert len(reply["Deleted"]) == len(names)
    assert keys_below("many/") == []

with doing("put if absent"):
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"1", IfNoneMatch="*")
    try:
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "PreconditionFailed"
    else:
        raise AssertionError("a second put if absent succeeded")
    stored("once", b"1")
with doing("put if unchanged"):
    tag = s3.put_object(Bucket=BUCKET, Key="twice", Body=b"1")["ETag"]
    s3.put_object(Bucket=BUCKET, Key="twice", Body=b"2", IfMatch=tag)
    try:
        s3.put_object(Bucket=BUCKET, Key="twice", Body=b"3", IfMatch=tag)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "PreconditionFailed"
    else:
        raise AssertionError("a put over a changed object succeeded")
    stored("twice", b"2")

# In us-east-1 boto3 signs URLs by the version before 4 unless told which.
presigner = boto3.client("s3", config=Config(signature_version="s3v4"))
with doing("presigned GET"):
    url = presigner.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": AWKWARD_KEYS[-1]})
    with urllib.request.urlopen(url, context=tls_context()) as reply:
        assert reply.read() == AWKWARD_KEYS[-1].encode()
with doing("presigned PUT"):
    url = presigner.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "by url"})
    request = urllib.request.Request(url, data=SMALL, method="PUT")
    with urllib.request.urlopen(request, context=tls_context()) as reply:
        assert reply.status == 200
    stored("by url", SMALL)

with doing("remove a bucket"):
    s3.create_bucket(Bucket=f"{BUCKET}-2")
    bucket = boto3.resource("s3").Bucket(f"{BUCKET}-2")
    for n in range(20):
        bucket.put_object(Key=f"k{n}", Body=b"")
    bucket.objects.all().delete()
    bucket.delete()
    bucket.wait_until_not_exists()

finish()
