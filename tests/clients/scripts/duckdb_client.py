"""DuckDB with its httpfs extension: Parquet written and read, with globs and what it reads in ranges."""

from pathlib import Path

import duckdb
import duckdb_extension_httpfs
from exercise import ACCESS_KEY, BUCKET, CA, HOST, REGION, SECRET_KEY, SECURE, doing, finish, same

database = duckdb.connect()
(extension,) = Path(duckdb_extension_httpfs.__path__[0]).rglob("httpfs.duckdb_extension")
database.execute(f"LOAD '{extension}'")
if CA:
    database.execute(f"SET ca_cert_file = '{CA}'")
# DuckDB puts buckets into host names unless it is told that the endpoint is an address.
database.execute(
    f"CREATE SECRET (TYPE s3, KEY_ID '{ACCESS_KEY}', SECRET '{SECRET_KEY}', REGION '{REGION}', "
    f"ENDPOINT '{HOST}', URL_STYLE 'path', USE_SSL {str(SECURE).lower()})"
)
ROWS = "SELECT i AS n, i % 4 AS part, repeat('x', 40) AS text FROM range(100000) t(i)"


def at(key: str) -> str:
    return f"s3://{BUCKET}/{key}"


def one(query: str) -> object:
    found = database.execute(query).fetchone()
    return found[0] if found else None


with doing("write parquet"):
    for part in range(4):
        database.execute(f"COPY (SELECT * FROM ({ROWS}) WHERE part = {part}) TO '{at(f'p/{part}.parquet')}'")
with doing("read parquet"):
    same(one(f"SELECT count(*) FROM '{at('p/1.parquet')}'"), 25_000)
with doing("read parquet with a glob"):
    same(one(f"SELECT sum(n) FROM '{at('p/*.parquet')}'"), 4_999_950_000)
    same(one(f"SELECT count(*) FROM glob('{at('**/[12].parquet')}')"), 2)
with doing("read a part of a file"):
    same(one(f"SELECT sum(n) FROM '{at('p/*.parquet')}' WHERE n < 10"), 45)
with doing("write a large file in parts"):
    wide = "SELECT i AS n, hash(i) AS h, hash(i + 1) AS g FROM range(1500000) t(i)"
    database.execute(f"COPY ({wide}) TO '{at('large.parquet')}'")
    same(one(f"SELECT count(DISTINCT h) FROM '{at('large.parquet')}'"), 1_500_000)
with doing("write and read hive partitions"):
    database.execute(f"COPY ({ROWS}) TO '{at('hive')}' (FORMAT parquet, PARTITION_BY (part))")
    same(one(f"SELECT count(*) FROM read_parquet('{at('hive/**/*.parquet')}') WHERE part = 2"), 25_000)
with doing("overwrite partitions"):
    database.execute(
        f"COPY (SELECT * FROM ({ROWS}) WHERE n < 8) TO '{at('hive')}' "
        "(FORMAT parquet, PARTITION_BY (part), OVERWRITE_OR_IGNORE)"
    )
    same(one(f"SELECT count(*) FROM read_parquet('{at('hive/**/*.parquet')}')"), 8)
with doing("csv and json"):
    database.execute(f"COPY ({ROWS}) TO '{at('c.csv')}'")
    database.execute(f"COPY (SELECT * FROM ({ROWS}) LIMIT 100) TO '{at('j.json')}'")
    same(one(f"SELECT max(n) FROM '{at('c.csv')}'"), 99_999)
    same(one(f"SELECT count(*) FROM '{at('j.json')}'"), 100)
with doing("keys with space, plus and unicode"):
    for name in ("a b", "a+b", "ü=1", "100%"):
        database.execute(f"COPY (SELECT 1 AS n) TO '{at(f'odd/{name}.parquet')}'")
        same(one(f"SELECT n FROM '{at(f'odd/{name}.parquet')}'"), 1)
    same(one(f"SELECT count(*) FROM glob('{at('odd/*.parquet')}')"), 4)
with doing("list 1,050 files"):
    database.execute(
        f"COPY (SELECT i AS n, i AS part FROM range(1050) t(i)) TO '{at('many')}' "
        "(FORMAT csv, PARTITION_BY (part))"
    )
    same(one(f"SELECT count(*) FROM glob('{at('many/*/*.csv')}')"), 1050)
with doing("read what is missing"):
    try:
        one(f"SELECT * FROM '{at('none.parquet')}'")
    except duckdb.Error as error:
        same("404" in str(error) or "No files found" in str(error), True)
    else:
        raise AssertionError("a missing file was read")
finish()
