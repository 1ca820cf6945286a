"""django-storages: S3 as Django's file storage."""

from django.conf import settings
from exercise import BUCKET, LARGE, SMALL, URL, doing, exercise, finish, same, stored

settings.configure(AWS_STORAGE_BUCKET_NAME=BUCKET, AWS_S3_ENDPOINT_URL=URL, USE_TZ=True)

import django  # noqa: E402
from django.core.files.base import ContentFile, File  # noqa: E402
from storages.backends.s3 import S3Storage  # noqa: E402

django.setup()
storage = S3Storage()
# In us-east-1 boto3 signs URLs by the version before 4 unless told which.
presigner = S3Storage(signature_version="s3v4")


class Django:
    missing = FileNotFoundError
    cannot_name = ("double slash",)

    def put(self, key, body):
        same(storage.save(key, ContentFile(body)), key)

    def get(self, key):
        with storage.open(key) as file:
            return file.read()

    def get_range(self, key, first, end):
        with storage.open(key) as file:
            file.seek(first)
            return file.read(end - first)

    def size(self, key):
        return storage.size(key)

    def list(self, prefix):
        folders, files = storage.listdir(prefix)
        nested = [name for folder in folders for name in self.list(f"{prefix}{folder}/")]
        return [prefix + name for name in files if name] + nested

    def folders(self, prefix):
        return [f"{prefix}{name}/" for name in sorted(storage.listdir(prefix)[0])]

    def delete(self, key):
        storage.delete(key)

    def presigned_get(self, key):
        return presigner.url(key)

    def presigned_put(self, key):
        return presigner.url(key, http_method="PUT")


exercise(Django())
with doing("exists"):
    assert storage.exists("small")
    assert not storage.exists("none")
with doing("write a file"):
    with storage.open("written.txt", "wb") as file:
        file.write(LARGE)
        file.write(b"more")
    stored("written.txt", LARGE + b"more")
with doing("never overwrites when told"):
    careful = S3Storage(file_overwrite=False)
    name = careful.save("small", ContentFile(b"other"))
    assert name != "small"
    stored(name, b"other")
    stored("small", SMALL)
with doing("content type and compression"):
    packed = S3Storage(gzip=True)
    packed.save("style.css", File(ContentFile(b"a { color: red }" * 100), "style.css"))
    found = packed.connection.meta.client.head_object(Bucket=BUCKET, Key="style.css")
    same([found["ContentType"], found["ContentEncoding"]], ["text/css", "gzip"])
with doing("modified time"):
    assert storage.get_modified_time("small").year > 2000
finish()
