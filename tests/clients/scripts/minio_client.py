"""minio-py, MinIO's client."""

import io
from datetime import timedelta
from pathlib import Path

import minio
from exercise import (
    ACCESS_KEY,
    BUCKET,
    HOST,
    LARGE,
    SECRET_KEY,
    SECURE,
    SMALL,
    doing,
    exercise,
    finish,
    same,
    stored,
)
from minio.commonconfig import ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

client = minio.Minio(HOST, access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=SECURE)


def read(key, **options):
    reply = client.get_object(BUCKET, key, **options)
    try:
        return reply.read()
    finally:
        reply.close()
        reply.release_conn()


class MinioPy:
    missing = S3Error

    def create_bucket(self):
        assert not client.bucket_exists(BUCKET)
        client.make_bucket(BUCKET)
        assert client.bucket_exists(BUCKET)
        assert BUCKET in [bucket.name for bucket in client.list_buckets()]

    def put(self, key, body):
        client.put_object(BUCKET, key, io.BytesIO(body), len(body))

    def get(self, key):
        return read(key)

    def get_range(self, key, first, end):
        return read(key, offset=first, length=end - first)

    def size(self, key):
        return client.stat_object(BUCKET, key).size

    def list(self, prefix):
        return [entry.object_name for entry in client.list_objects(BUCKET, prefix, recursive=True)]

    def folders(self, prefix):
        entries = list(client.list_objects(BUCKET, prefix))
        assert all(entry.is_dir for entry in entries)
        return [entry.object_name for entry in entries]

    def copy(self, source, target):
        client.copy_object(BUCKET, target, CopySource(BUCKET, source))

    def move(self, source, target):
        self.copy(source, target)
        self.delete(source)

    def delete(self, key):
        client.remove_object(BUCKET, key)

    def delete_many(self, keys):
        same(list(client.remove_objects(BUCKET, [DeleteObject(key) for key in keys])), [])

    def put_described(self, key, body, metadata):
        client.put_object(BUCKET, key, io.BytesIO(body), len(body), metadata=metadata)

    def describe(self, key):
        found = client.stat_object(BUCKET, key).metadata
        return {n[11:].lower(): v for n, v in found.items() if n.lower().startswith("x-amz-meta-")}

    def presigned_get(self, key):
        return client.presigned_get_object(BUCKET, key, expires=timedelta(minutes=5))

    def presigned_put(self, key):
        return client.presigned_put_object(BUCKET, key)


exercise(MinioPy())
with doing("put of unknown length"):
    client.put_object(BUCKET, "stream", io.BytesIO(LARGE), -1, part_size=5 * 1024 * 1024)
    stored("stream", LARGE)
with doing("compose"):
    client.compose_object(
        BUCKET, "composed", [ComposeSource(BUCKET, "large"), ComposeSource(BUCKET, "small")]
    )
    stored("composed", LARGE + SMALL)
with doing("files"):
    client.fget_object(BUCKET, "large", "large.bin")
    same(Path("large.bin").read_bytes(), LARGE)
    client.fput_object(BUCKET, "from file", "large.bin")
    stored("from file", LARGE)
with doing("tags"):
    tags = Tags.new_object_tags()
    tags["colour"] = "blue"
    client.set_object_tags(BUCKET, "small", tags)
    same(dict(client.get_object_tags(BUCKET, "small")), {"colour": "blue"})
    client.delete_object_tags(BUCKET, "small")
    same(client.get_object_tags(BUCKET, "small"), None)
with doing("remove a bucket"):
    client.make_bucket(f"{BUCKET}-2")
    client.remove_bucket(f"{BUCKET}-2")
    assert not client.bucket_exists(f"{BUCKET}-2")
finish()
