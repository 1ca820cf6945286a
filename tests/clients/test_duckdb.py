"""DuckDB with the extension that reads and writes S3."""

from collections.abc import Callable


def test_duckdb(run_script: Callable[..., None]) -> None:
    operations = [
        "write parquet",
        "read parquet",
        "read parquet with a glob",
        "read a part of a file",
        "write a large file in parts",
        "write and read hive partitions",
        "overwrite partitions",
        "csv and json",
        "keys with space, plus and unicode",
        "list 1,050 files",
        "read what is missing",
    ]
    run_script("duckdb", "duckdb_client", operations, "DuckDB")
