"""aiobotocore: the client, over aiohttp."""

import asyncio

from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import ClientError
from exercise import BUCKET, LARGE, MIB, doing, exercise, finish, same

loop = asyncio.new_event_loop()
context = get_session().create_client("s3")
s3 = loop.run_until_complete(context.__aenter__())
presigner_context = get_session().create_client("s3", config=Config(signature_version="s3v4"))
presigner = loop.run_until_complete(presigner_context.__aenter__())


def run(awaitable):
    return loop.run_until_complete(awaitable)


async def read(**parameters):
    reply = await s3.get_object(Bucket=BUCKET, **parameters)
    async with reply["Body"] as body:
        return await body.read()


async def upload(key, body):
    started = await s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    named = {"Bucket": BUCKET, "Key": key, "UploadId": started["UploadId"]}
    pieces = [body[first : first + 5 * MIB] for first in range(0, len(body), 5 * MIB)]
    sent = await asyncio.gather(
        *(s3.upload_part(**named, PartNumber=n, Body=piece) for n, piece in enumerate(pieces, 1))
    )
    parts = [{"PartNumber": n, "ETag": reply["ETag"]} for n, reply in enumerate(sent, 1)]
    await s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})


async def keys(prefix):
    found = []
    async for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        found += [entry["Key"] for entry in page.get("Contents", [])]
    return found


async def put_all(names):
    limit = asyncio.Semaphore(10)

    async def one(key):
        async with limit:
            await s3.put_object(Bucket=BUCKET, Key=key, Body=b"")

    await asyncio.gather(*(one(key) for key in names))


class Aiobotocore:
    missing = s3.exceptions.NoSuchKey

    def create_bucket(self):
        run(s3.create_bucket(Bucket=BUCKET))

    def put(self, key, body):
        run(upload(key, body) if len(body) > MIB else s3.put_object(Bucket=BUCKET, Key=key, Body=body))

    def put_many(self, names):
        run(put_all(names))

    def get(self, key):
        return run(read(Key=key))

    def get_range(self, key, first, end):
        return run(read(Key=key, Range=f"bytes={first}-{end - 1}"))

    def size(self, key):
        return run(s3.head_object(Bucket=BUCKET, Key=key))["ContentLength"]

    def list(self, prefix):
        return run(keys(prefix))

    def folders(self, prefix):
        page = run(s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix, Delimiter="/"))
        return [entry["Prefix"] for entry in page["CommonPrefixes"]]

    def copy(self, source, target):
        run(s3.copy_object(Bucket=BUCKET, Key=target, CopySource={"Bucket": BUCKET, "Key": source}))

    def move(self, source, target):
        self.copy(source, target)
        self.delete(source)

    def delete(self, key):
        run(s3.delete_object(Bucket=BUCKET, Key=key))

    def delete_many(self, names):
        for first in range(0, len(names), 1000):
            objects = [{"Key": key} for key in names[first : first + 1000]]
            run(s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects}))

    def put_if_absent(self, key, body):
        try:
            run(s3.put_object(Bucket=BUCKET, Key=key, Body=body, IfNoneMatch="*"))
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    def put_described(self, key, body, metadata):
        run(s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=metadata))

    def describe(self, key):
        return run(s3.head_object(Bucket=BUCKET, Key=key))["Metadata"]

    def presigned_get(self, key):
        return run(presigner.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}))

    def presigned_put(self, key):
        return run(presigner.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": key}))


exercise(Aiobotocore())
with doing("many gets at once"):

    async def gets():
        return await asyncio.gather(*(read(Key="large", Range=f"bytes={n}-{n + 99}") for n in range(50)))

    same(run(gets()), [LARGE[n : n + 100] for n in range(50)])
run(context.__aexit__(None, None, None))
run(presigner_context.__aexit__(None, None, None))
finish()
