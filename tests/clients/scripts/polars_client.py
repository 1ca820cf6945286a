"""polars: Parquet, CSV and IPC read lazily with globs, and written."""

import polars as pl
from exercise import BUCKET, SECURE, doing, finish, same

options = {} if SECURE else {"aws_allow_http": "true"}
frame = pl.DataFrame(
    {"n": range(100_000), "part": [n % 4 for n in range(100_000)], "t": ["x" * 40] * 100_000}
)


def at(key):
    return f"s3://{BUCKET}/{key}"


with doing("write parquet"):
    for part in range(4):
        frame.filter(pl.col("part") == part).write_parquet(at(f"p/{part}.parquet"), storage_options=options)
with doing("read parquet"):
    same(pl.read_parquet(at("p/1.parquet"), storage_options=options).height, 25_000)
with doing("scan parquet with a glob"):
    found = pl.scan_parquet(at("p/*.parquet"), storage_options=options)
    same(found.select(pl.len()).collect().item(), 100_000)
    same(found.filter(pl.col("n") < 10).select(pl.col("n").sum()).collect().item(), 45)
with doing("sink parquet"):
    wide = pl.LazyFrame({"n": range(2_000_000)}).with_columns(m=pl.col("n") * 7 + 1, h=pl.col("n").hash())
    wide.sink_parquet(at("sunk.parquet"), storage_options=options)
    same(
        pl.scan_parquet(at("sunk.parquet"), storage_options=options).select(pl.len()).collect().item(),
        2_000_000,
    )
with doing("sink partitioned"):
    frame.lazy().sink_parquet(pl.PartitionBy(at("hive"), key="part"), storage_options=options, mkdir=False)
    found = pl.scan_parquet(at("hive/**/*.parquet"), storage_options=options, hive_partitioning=True)
    same(found.filter(pl.col("part") == 2).select(pl.len()).collect().item(), 25_000)
with doing("csv"):
    frame.write_csv(at("c.csv"), storage_options=options)
    same(pl.scan_csv(at("c.csv"), storage_options=options).select(pl.col("n").max()).collect().item(), 99_999)
with doing("ipc"):
    frame.lazy().sink_ipc(at("i.arrow"), storage_options=options)
    same(
        pl.scan_ipc(at("i.arrow"), storage_options=options).select(pl.col("n").sum()).collect().item(),
        4999950000,
    )
with doing("ndjson"):
    frame.head(100).lazy().sink_ndjson(at("j.ndjson"), storage_options=options)
    same(pl.scan_ndjson(at("j.ndjson"), storage_options=options).collect().height, 100)
with doing("key with space and unicode"):
    frame.head(5).write_parquet(at("odd/a b+ü=1.parquet"), storage_options=options)
    same(pl.read_parquet(at("odd/a b+ü=1.parquet"), storage_options=options).height, 5)
with doing("missing file"):
    try:
        pl.read_parquet(at("none.parquet"), storage_options=options)
    except FileNotFoundError:
        pass
    else:
        raise AssertionError("a missing file was read")
finish()
