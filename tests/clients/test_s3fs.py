"""s3fs."""

from collections.abc import Callable

from operations import EVERYTHING


def test_s3fs(run_script: Callable[..., None]) -> None:
    operations = [
        *EVERYTHING,
        "append",
        "append to large",
        "download with progress",
        "glob",
        "remove a bucket",
        "tags",
        "touch and modified",
    ]
    run_script("aio", "s3fs_client", operations, "s3fs")
