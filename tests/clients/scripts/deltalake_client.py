"""deltalake (delta-rs): tables whose commits are conditional puts, by several writers at once."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from exercise import BUCKET, SECURE, doing, finish, same

options = {} if SECURE else {"aws_allow_http": "true"}
TABLE = f"s3://{BUCKET}/table"


def rows(first, count=100):
    return pa.table({"n": list(range(first, first + count)), "p": [n % 3 for n in range(count)]})


def table(**more):
    return DeltaTable(TABLE, storage_options=options, **more)


def numbers(found):
    return sorted(pa.table(found.to_pyarrow_table())["n"].to_pylist())


with doing("write table"):
    write_deltalake(TABLE, rows(0), storage_options=options, partition_by=["p"])
with doing("read table"):
    same(numbers(table()), list(range(100)))
with doing("append"):
    write_deltalake(TABLE, rows(100), mode="append", storage_options=options)
    same(numbers(table()), list(range(200)))
with doing("concurrent commits"):
    first = table().version()

    def append(n):
        write_deltalake(TABLE, rows(1000 + n * 100), mode="append", storage_options=options)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(16)))
    found = table()
    same(found.version(), first + 16)
    same(numbers(found), [*range(200), *range(1000, 2600)])
with doing("racing creators"):
    # The client tries a lost commit again as the next version where it thinks it may; none is lost.
    raced = f"s3://{BUCKET}/raced"

    def create(n):
        try:
            write_deltalake(raced, rows(n * 100), mode="error", storage_options=options)
        except Exception:
            return []
        return list(range(n * 100, n * 100 + 100))

    with ThreadPoolExecutor(8) as pool:
        won = [found for found in pool.map(create, range(8)) if found]
    found = DeltaTable(raced, storage_options=options)
    assert won
    same(found.version(), len(won) - 1)
    same(numbers(found), sorted(n for written in won for n in written))
with doing("time travel"):
    same(numbers(table(version=0)), list(range(100)))
with doing("delete and update"):
    table().delete("n < 50")
    table().update(predicate="n = 50", updates={"n": "-1"})
    same(numbers(table())[:2], [-1, 51])
with doing("merge"):
    source = rows(2590, 20)
    merged = table().merge(source, "s.n = t.n", source_alias="s", target_alias="t")
    merged.when_not_matched_insert_all().execute()
    same(numbers(table())[-1], 2609)
with doing("optimize"):
    table().optimize.compact()
    same(numbers(table())[-1], 2609)
with doing("checkpoint"):
    table().create_checkpoint()
    same(numbers(table())[-1], 2609)
with doing("vacuum"):
    removed = table().vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert removed
    same(numbers(table())[-1], 2609)
finish()
