"""pyarrow."""

from collections.abc import Callable

from operations import CONDITIONS, DOUBLE_SLASH, METADATA, PRESIGNED, TREES, all_but


def test_pyarrow(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(DOUBLE_SLASH, METADATA, CONDITIONS, PRESIGNED, TREES),
        "copy a tree",
        "create and delete folders",
        "delete folder contents",
        "parquet column and row filter",
        "parquet file",
        "partitioned data set",
        "remove a bucket",
        "system metadata",
    ]
    run_script("arrow", "pyarrow_client", operations, "pyarrow")
