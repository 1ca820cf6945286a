"""Apache OpenDAL's S3 service."""

import asyncio

import opendal
from exercise import BUCKET, LARGE, SMALL, doing, exercise, finish, same, stored

operator = opendal.Operator("s3", bucket=BUCKET)
asynchronous = opendal.AsyncOperator("s3", bucket=BUCKET)


def presigned(call, key):
    async def sign():
        return await getattr(asynchronous, call)(key, 300)

    return asyncio.run(sign()).url


class Opendal:
    missing = opendal.exceptions.NotFound
    cannot_name = ("double slash",)

    def put(self, key, body):
        if len(body) > 1_000_000:
            operator.write(key, body, chunk=5 * 1024 * 1024, concurrent=2)
        else:
            operator.write(key, body)

    def get(self, key):
        return bytes(operator.read(key))

    def get_range(self, key, first, end):
        return bytes(operator.read(key, offset=first, size=end - first))

    def size(self, key):
        return operator.stat(key).content_length

    def list(self, prefix):
        return sorted(e.path for e in operator.list(prefix, recursive=True) if not e.path.endswith("/"))

    def folders(self, prefix):
        return sorted(entry.path for entry in operator.list(prefix) if entry.path != prefix)

    def copy(self, source, target):
        operator.copy(source, target)

    def move(self, source, target):
        self.copy(source, target)
        self.delete(source)

    def delete(self, key):
        operator.delete(key)

    def delete_many(self, keys):
        operator.remove_all("many/")

    def put_if_absent(self, key, body):
        try:
            operator.write(key, body, if_not_exists=True)
        except opendal.exceptions.ConditionNotMatch:
            return False
        return True

    def put_described(self, key, body, metadata):
        operator.write(key, body, user_metadata=metadata, content_type="text/x-odd", cache_control="no-cache")

    def describe(self, key):
        found = operator.stat(key)
        same(found.content_type, "text/x-odd")
        return found.user_metadata

    def presigned_get(self, key):
        return presigned("presign_read", key)

    def presigned_put(self, key):
        return presigned("presign_write", key)


exercise(Opendal())
with doing("check"):
    operator.check()
with doing("create folder"):
    operator.create_dir("folder/")
    stored("folder/", b"")
    assert operator.exists("folder/")
with doing("files"):
    with operator.open("file", "wb") as file:
        for first in range(0, len(LARGE), 1_000_000):
            file.write(LARGE[first : first + 1_000_000])
    with operator.open("file", "rb") as file:
        file.seek(9_000_000)
        same(bytes(file.read(10)), LARGE[9_000_000:9_000_010])
    stored("file", LARGE)
with doing("get if unchanged"):
    tag = operator.stat("small").etag
    same(bytes(operator.read("small", if_match=tag)), SMALL)
    try:
        operator.read("small", if_none_match=tag)
    except opendal.exceptions.ConditionNotMatch:
        pass
    else:
        raise AssertionError("an unchanged object was read")
finish()
