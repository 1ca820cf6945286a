"""polars."""

from collections.abc import Callable


def test_polars(run_script: Callable[..., None]) -> None:
    operations = [
        "csv",
        "ipc",
        "key with space and unicode",
        "missing file",
        "ndjson",
        "read parquet",
        "scan parquet with a glob",
        "sink parquet",
        "sink partitioned",
        "write parquet",
    ]
    run_script("arrow", "polars_client", operations, "polars")
