"""tensorstore: its S3 key-value store, and a Zarr array on it."""

import numpy
import tensorstore as ts
from exercise import BUCKET, REGION, URL, doing, exercise, finish, same, stored

spec = {"driver": "s3", "bucket": BUCKET, "endpoint": URL, "aws_region": REGION}
store = ts.KvStore.open(spec).result()


def below(prefix):
    return ts.KvStore.KeyRange(prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))


class Tensorstore:
    missing = KeyError

    def put(self, key, body):
        store.write(key, body).result()

    def put_many(self, keys):
        for done in [store.write(key, b"0") for key in keys]:
            done.result()

    def get(self, key):
        return store[key]

    def list(self, prefix):
        found = store.list(below(prefix)).result()
        return sorted(key.decode() for key in found)

    def delete(self, key):
        store.write(key, None).result()

    def delete_many(self, keys):
        store.delete_range(below("many/")).result()

    def put_if_absent(self, key, body):
        absent = store.read("never written").result().stamp.generation
        store.write(key, body, if_equal=absent).result()
        return store[key] == body


exercise(Tensorstore())
with doing("put if unchanged"):
    one = store.write("twice", b"1").result().generation
    two = store.write("twice", b"2", if_equal=one).result().generation
    assert store.write("twice", b"3", if_equal=one).result().generation != two
    stored("twice", b"2")
with doing("transaction"):
    with ts.Transaction() as transaction:
        store.with_transaction(transaction)["t1"] = b"1"
        store.with_transaction(transaction)["t2"] = b"2"
    stored("t1", b"1")
    stored("t2", b"2")
with doing("zarr array"):
    array = ts.open(
        {"driver": "zarr3", "kvstore": {**spec, "path": "zarr/"}},
        create=True,
        dtype=ts.uint16,
        shape=[512, 512],
        chunk_layout=ts.ChunkLayout(chunk_shape=[100, 100]),
    ).result()
    values = numpy.arange(512 * 512, dtype=numpy.uint16).reshape(512, 512)
    array.write(values).result()
    again = ts.open({"driver": "zarr3", "kvstore": {**spec, "path": "zarr/"}}).result()
    assert (again.read().result() == values).all()
    assert (again[150:250, 10:20].read().result() == values[150:250, 10:20]).all()
with doing("array resized in place"):
    again.resize(exclusive_max=[600, 512]).result()
    same(ts.open({"driver": "zarr3", "kvstore": {**spec, "path": "zarr/"}}).result().shape, (600, 512))
finish()
