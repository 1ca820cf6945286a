"""obstore: the object_store crate, as Python and Rust data tools use it."""

from datetime import timedelta

import obstore
from exercise import BUCKET, LARGE, SECURE, SMALL, doing, exercise, finish, same, stored
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

# Plain HTTP is refused unless this says otherwise: the client's own rule for every endpoint.
options = {} if SECURE else {"client_options": {"allow_http": True}}
store = S3Store(BUCKET, **options)


class Obstore:
    missing = FileNotFoundError
    cannot_name = ("double slash",)

    def put(self, key, body):
        obstore.put(store, key, body)

    def get(self, key):
        return bytes(obstore.get(store, key).bytes())

    def get_range(self, key, first, end):
        return bytes(obstore.get_range(store, key, start=first, end=end))

    def size(self, key):
        return obstore.head(store, key)["size"]

    def list(self, prefix):
        return sorted(entry["path"] for page in obstore.list(store, prefix) for entry in page)

    def folders(self, prefix):
        found = obstore.list_with_delimiter(store, prefix)
        same(list(found["objects"]), [])
        return [name + "/" for name in found["common_prefixes"]]

    def copy(self, source, target):
        obstore.copy(store, source, target)

    def move(self, source, target):
        obstore.rename(store, source, target)

    def delete(self, key):
        obstore.delete(store, key)

    def delete_many(self, keys):
        obstore.delete(store, keys)

    def put_if_absent(self, key, body):
        try:
            obstore.put(store, key, body, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def put_described(self, key, body, metadata):
        given = {"Content-Type": "text/x-odd", "Cache-Control": "no-cache", **metadata}
        obstore.put(store, key, body, attributes=given)

    def describe(self, key):
        found = dict(obstore.get(store, key).attributes)
        same([found.pop("Content-Type"), found.pop("Cache-Control")], ["text/x-odd", "no-cache"])
        return found

    def presigned_get(self, key):
        return obstore.sign(store, "GET", key, timedelta(minutes=5))

    def presigned_put(self, key):
        return obstore.sign(store, "PUT", key, timedelta(minutes=5))


exercise(Obstore())
with doing("writer"):
    with obstore.open_writer(store, "written") as writer:
        for first in range(0, len(LARGE), 100_000):
            writer.write(LARGE[first : first + 100_000])
    stored("written", LARGE)
with doing("reader"):
    reader = obstore.open_reader(store, "large")
    reader.seek(5_000_000)
    same(bytes(reader.read(1000)), LARGE[5_000_000:5_001_000])
with doing("ranges"):
    found = obstore.get_ranges(store, "large", starts=[0, 9_000_000], ends=[10, 9_000_010])
    same([bytes(piece) for piece in found], [LARGE[:10], LARGE[9_000_000:9_000_010]])
with doing("put if unchanged"):
    tag = obstore.put(store, "twice", b"1")["e_tag"]
    obstore.put(store, "twice", b"2", mode={"e_tag": tag})
    try:
        obstore.put(store, "twice", b"3", mode={"e_tag": tag})
    except PreconditionError:
        pass
    else:
        raise AssertionError("a put over a changed object succeeded")
    stored("twice", b"2")
with doing("copy if absent"):  # only when told how: here, as the end of a conditional multipart upload
    careful = S3Store(BUCKET, copy_if_not_exists="multipart", **options)
    obstore.copy(careful, "small", "fresh", overwrite=False)
    try:
        obstore.copy(careful, "large", "fresh", overwrite=False)
    except AlreadyExistsError:
        pass
    else:
        raise AssertionError("copied over an object")
    stored("fresh", SMALL)
with doing("get if changed"):
    tag = obstore.head(store, "small")["e_tag"]
    try:
        obstore.get(store, "small", options={"if_none_match": tag})
    except obstore.exceptions.NotModifiedError:
        pass
    else:
        raise AssertionError("an unchanged object was read")
finish()
