"""boto3: the client, its transfer manager, paginators, waiters, resources and presigned URLs."""

import io

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError
from exercise import BUCKET, LARGE, SMALL, doing, exercise, finish, in_parallel, same, stored

s3 = boto3.client("s3")
# In us-east-1 boto3 signs URLs by the version before 4 unless told which.
presigner = boto3.client("s3", config=Config(signature_version="s3v4"))


class Boto3:
    missing = s3.exceptions.NoSuchKey

    def create_bucket(self):
        s3.create_bucket(Bucket=BUCKET)
        s3.get_waiter("bucket_exists").wait(Bucket=BUCKET)
        assert BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]]

    def put(self, key, body):
        if len(body) > 1_000_000:
            s3.upload_fileobj(io.BytesIO(body), BUCKET, key)
            assert "-" in s3.head_object(Bucket=BUCKET, Key=key)["ETag"]
        else:
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def get(self, key):
        return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def get_range(self, key, first, end):
        return s3.get_object(Bucket=BUCKET, Key=key, Range=f"bytes={first}-{end - 1}")["Body"].read()

    def size(self, key):
        return s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"]

    def list(self, prefix):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def folders(self, prefix):
        page = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix, Delimiter="/")
        assert "Contents" not in page
        return [entry["Prefix"] for entry in page["CommonPrefixes"]]

    def copy(self, source, target):
        s3.copy({"Bucket": BUCKET, "Key": source}, BUCKET, target)

    def move(self, source, target):
        s3.copy_object(Bucket=BUCKET, Key=target, CopySource={"Bucket": BUCKET, "Key": source})
        self.delete(source)

    def delete(self, key):
        s3.delete_object(Bucket=BUCKET, Key=key)

    def delete_many(self, keys):
        for first in range(0, len(keys), 1000):
            names = [{"Key": key} for key in keys[first : first + 1000]]
            reply = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": names})
            assert len(reply["Deleted"]) == len(names)

    def put_if_absent(self, key, body):
        return self._put_if(key, body, IfNoneMatch="*")

    def put_if_unchanged(self, key, body, tag):
        return self._put_if(key, body, IfMatch=tag)

    def _put_if(self, key, body, **condition):
        try:
            s3.put_object(Bucket=BUCKET, Key=key, Body=body, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    def put_described(self, key, body, metadata):
        given = {"ContentType": "text/x-odd", "CacheControl": "no-cache", "ContentLanguage": "de"}
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=metadata, **given)
        found = s3.head_object(Bucket=BUCKET, Key=key)
        same({name: found[name] for name in given}, given)

    def describe(self, key):
        return s3.head_object(Bucket=BUCKET, Key=key)["Metadata"]

    def presigned_get(self, key):
        return presigner.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key})

    def presigned_put(self, key):
        return presigner.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": key})


client = Boto3()
exercise(client)

with doing("put what cannot seek"):
    s3.upload_fileobj(io.BufferedReader(io.BytesIO(SMALL)), BUCKET, "stream")
    stored("stream", SMALL)
with doing("get large in parallel"):
    target = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", target)
    same(target.getvalue(), LARGE)
with doing("put if unchanged"):
    tag = s3.put_object(Bucket=BUCKET, Key="twice", Body=b"1")["ETag"]
    same(
        [client.put_if_unchanged("twice", b"2", tag), client.put_if_unchanged("twice", b"3", tag)],
        [True, False],
    )
    stored("twice", b"2")
with doing("one of many writers wins"):
    for n in range(20):
        outcomes = in_parallel(lambda w, n=n: client.put_if_absent(f"race/{n}", str(w).encode()), range(8))
        same(outcomes.count(True), 1)
        stored(f"race/{n}", str(outcomes.index(True)).encode())
with doing("list version 1"):
    client.put_if_absent("v1/a b", b"")
    pages = s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="v1/")
    same([entry["Key"] for page in pages for entry in page["Contents"]], ["v1/a b"])
with doing("remove a bucket"):
    s3.create_bucket(Bucket=f"{BUCKET}-2")
    bucket = boto3.resource("s3").Bucket(f"{BUCKET}-2")
    for n in range(20):
        bucket.put_object(Key=f"k{n}", Body=b"")
    bucket.objects.all().delete()
    bucket.delete()
    bucket.wait_until_not_exists()

finish()
