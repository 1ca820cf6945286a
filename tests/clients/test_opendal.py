"""Apache OpenDAL."""

from collections.abc import Callable

from operations import BUCKET, DOUBLE_SLASH, TREES, all_but


def test_opendal(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(BUCKET, DOUBLE_SLASH, TREES),
        "check",
        "create folder",
        "files",
        "get if unchanged",
    ]
    run_script("arrow", "opendal_client", operations, "opendal")
