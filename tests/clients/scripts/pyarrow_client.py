"""pyarrow: its S3 file system (the AWS SDK for C++), and a partitioned data set on it."""

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from exercise import BUCKET, CA, URL, doing, exercise, finish, same
from pyarrow import fs

options = {"tls_ca_file_path": CA} if CA else {}
s3 = fs.S3FileSystem(endpoint_override=URL, allow_bucket_creation=True, allow_bucket_deletion=True, **options)


def at(key):
    return f"{BUCKET}/{key}"


class Pyarrow:
    missing = FileNotFoundError
    cannot_name = ("double slash",)

    def create_bucket(self):
        s3.create_dir(BUCKET)

    def put(self, key, body):
        with s3.open_output_stream(at(key)) as stream:
            stream.write(body)

    def get(self, key):
        with s3.open_input_stream(at(key)) as stream:
            return stream.read()

    def get_range(self, key, first, end):
        with s3.open_input_file(at(key)) as file:
            return file.read_at(end - first, first)

    def size(self, key):
        return s3.get_file_info(at(key)).size

    def list(self, prefix):
        chosen = fs.FileSelector(at(prefix.rstrip("/")), recursive=True, allow_not_found=True)
        files = [info for info in s3.get_file_info(chosen) if info.type == fs.FileType.File]
        return sorted(info.path.partition("/")[2] for info in files)

    def folders(self, prefix):
        found = s3.get_file_info(fs.FileSelector(at(prefix.rstrip("/"))))
        assert all(info.type == fs.FileType.Directory for info in found)
        return sorted(info.path.partition("/")[2] + "/" for info in found)

    def copy(self, source, target):
        s3.copy_file(at(source), at(target))

    def move(self, source, target):
        s3.move(at(source), at(target))

    def delete(self, key):
        s3.delete_file(at(key))

    def delete_many(self, keys):
        s3.delete_dir(at("many"))


exercise(Pyarrow())
with doing("system metadata"):  # it has no way to give or read a user's
    given = {"Content-Type": "text/x-odd", "Cache-Control": "no-cache", "Content-Language": "de"}
    with s3.open_output_stream(at("described"), metadata=given) as stream:
        stream.write(b"0")
    found = s3.open_input_stream(at("described")).metadata()
    same({name: found[name].decode() for name in given}, given)
table = pa.table({"n": list(range(10_000)), "part": [n % 4 for n in range(10_000)], "t": ["x" * 50] * 10_000})
with doing("parquet file"):
    pa.parquet.write_table(table, at("one.parquet"), filesystem=s3)
    assert pa.parquet.read_table(at("one.parquet"), filesystem=s3).equals(table)
with doing("parquet column and row filter"):
    found = pa.parquet.read_table(at("one.parquet"), filesystem=s3, columns=["n"], filters=[("n", "<", 10)])
    same(found["n"].to_pylist(), list(range(10)))
with doing("partitioned data set"):
    partitioning = pa.dataset.partitioning(pa.schema([("part", pa.int64())]), flavor="hive")
    pa.dataset.write_dataset(table, at("set"), filesystem=s3, format="parquet", partitioning=partitioning)
    found = pa.dataset.dataset(at("set"), filesystem=s3, partitioning=partitioning)
    same(found.count_rows(), 10_000)
    same(found.to_table(filter=pa.dataset.field("part") == 3).num_rows, 2500)
with doing("copy a tree"):
    fs.copy_files(at("set"), at("set-copy"), source_filesystem=s3, destination_filesystem=s3)
    same(pa.dataset.dataset(at("set-copy"), filesystem=s3, partitioning=partitioning).count_rows(), 10_000)
with doing("create and delete folders"):
    s3.create_dir(at("a/b/c"), recursive=True)
    same(s3.get_file_info(at("a/b")).type, fs.FileType.Directory)
    s3.delete_dir(at("a"))
    same(s3.get_file_info(at("a/b/c")).type, fs.FileType.NotFound)
with doing("delete folder contents"):
    s3.delete_dir_contents(at("set-copy"))
    same(s3.get_file_info(fs.FileSelector(at("set-copy"))), [])
with doing("remove a bucket"):
    s3.create_dir(f"{BUCKET}-2")
    s3.delete_dir(f"{BUCKET}-2")
finish()
