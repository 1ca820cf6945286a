"""s3fs: a file system by fsspec."""

from pathlib import Path

import s3fs
from exercise import BUCKET, LARGE, SMALL, doing, exercise, finish, same, stored

fs = s3fs.S3FileSystem()
presigner = s3fs.S3FileSystem(config_kwargs={"signature_version": "s3v4"})


def at(key):
    return f"{BUCKET}/{key}"


class S3fs:
    missing = FileNotFoundError

    def create_bucket(self):
        fs.mkdir(BUCKET)
        assert fs.exists(BUCKET)

    def put(self, key, body):
        with fs.open(at(key), "wb") as file:
            file.write(body)

    def put_many(self, keys):
        fs.pipe({at(key): b"0" for key in keys})

    def get(self, key):
        return fs.cat_file(at(key))

    def get_range(self, key, first, end):
        with fs.open(at(key), "rb") as file:
            file.seek(first)
            return file.read(end - first)

    def size(self, key):
        return fs.size(at(key))

    def list(self, prefix):
        fs.invalidate_cache()
        return sorted(name.partition("/")[2] for name in fs.find(at(prefix)))

    def folders(self, prefix):
        fs.invalidate_cache()
        return [entry["name"].partition("/")[2] + "/" for entry in fs.ls(at(prefix), detail=True)]

    def copy(self, source, target):
        fs.copy(at(source), at(target))

    def move(self, source, target):
        fs.mv(at(source), at(target))

    def delete(self, key):
        fs.rm_file(at(key))

    def delete_many(self, keys):
        fs.rm([at(key) for key in keys])

    def put_if_absent(self, key, body):
        try:
            fs.pipe_file(at(key), body, mode="create")
        except FileExistsError:
            return False
        return True

    def put_described(self, key, body, metadata):
        with fs.open(at(key), "wb", Metadata=metadata) as file:
            file.write(body)

    def describe(self, key):
        return fs.metadata(at(key), refresh=True)

    def presigned_get(self, key):
        return presigner.sign(at(key))

    def presigned_put(self, key):
        return presigner.sign(at(key), client_method="put_object")

    def sync_up(self, folder, prefix):
        fs.put(f"{folder}/", at(prefix) + "/", recursive=True)

    def sync_down(self, prefix, folder):
        fs.get(at(prefix) + "/", f"{folder}/", recursive=True)


exercise(S3fs())
with doing("append"):
    with fs.open(at("appended"), "wb") as file:
        file.write(SMALL)
    with fs.open(at("appended"), "ab") as file:
        file.write(b"more")
    stored("appended", SMALL + b"more")
with doing("append to large"):
    fs.copy(at("large"), at("grown"))
    with fs.open(at("grown"), "ab") as file:
        file.write(b"more")
    stored("grown", LARGE + b"more")
with doing("glob"):
    fs.invalidate_cache()
    same(fs.glob(at("odd/a*")), [at("odd/a+b")])
with doing("tags"):
    fs.put_tags(at("small"), {"colour": "blue"})
    same(fs.get_tags(at("small")), {"colour": "blue"})
with doing("touch and modified"):
    fs.touch(at("touched"))
    assert fs.modified(at("touched")).year > 2000
with doing("download with progress"):
    fs.get_file(at("large"), "large.bin")
    same(Path("large.bin").read_bytes(), LARGE)
with doing("remove a bucket"):
    fs.mkdir(f"{BUCKET}-2")
    fs.pipe_file(f"{BUCKET}-2/x", b"")
    fs.rm(f"{BUCKET}-2", recursive=True)
    fs.invalidate_cache()
    assert not fs.exists(f"{BUCKET}-2")
finish()
