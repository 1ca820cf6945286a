"""smart_open: objects as files."""

import boto3
from exercise import BUCKET, LARGE, SMALL, doing, exercise, finish, same, stored
from smart_open import open as smart_open
from smart_open.s3 import iter_bucket


def at(key):
    return f"s3://{BUCKET}/{key}"


class SmartOpen:
    missing = OSError

    def put(self, key, body):
        with smart_open(at(key), "wb") as file:
            file.write(body)

    def get(self, key):
        with smart_open(at(key), "rb") as file:
            return file.read()

    def get_range(self, key, first, end):
        with smart_open(at(key), "rb") as file:
            file.seek(first)
            return file.read(end - first)


exercise(SmartOpen())
with doing("lines"):
    with smart_open(at("lines"), "w", encoding="utf-8") as file:
        file.writelines(f"zeile {n} ü\n" for n in range(100_000))
    with smart_open(at("lines"), encoding="utf-8") as file:
        same(sum(1 for _ in file), 100_000)
with doing("compressed"):
    with smart_open(at("packed.gz"), "wb") as file:
        file.write(LARGE)
    with smart_open(at("packed.gz"), "rb") as file:
        same(file.read(), LARGE)
with doing("large by parts"):
    with smart_open(at("parts"), "wb", transport_params={"min_part_size": 5 * 1024 * 1024}) as file:
        for first in range(0, len(LARGE), 100_000):
            file.write(LARGE[first : first + 100_000])
    stored("parts", LARGE)
with doing("abandoned upload"):
    try:
        with smart_open(at("abandoned"), "wb", transport_params={"min_part_size": 5 * 1024 * 1024}) as file:
            file.write(LARGE[: 7 * 1024 * 1024])
            raise InterruptedError
    except InterruptedError:
        pass
    s3 = boto3.client("s3")
    same(s3.list_objects_v2(Bucket=BUCKET, Prefix="abandoned")["KeyCount"], 0)
    same(s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []), [])
with doing("read all of a prefix"):
    same(sum(1 for _ in iter_bucket(BUCKET, prefix="odd/", workers=4)), 8)
    stored("small", SMALL)
finish()
