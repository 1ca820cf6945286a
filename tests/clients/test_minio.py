"""minio-py."""

from collections.abc import Callable

from operations import CONDITIONS, TREES, all_but


def test_minio_py(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(TREES, CONDITIONS),
        "compose",
        "files",
        "put of unknown length",
        "remove a bucket",
        "tags",
    ]
    run_script("arrow", "minio_client", operations, "minio-py")
