"""obstore."""

from collections.abc import Callable

from operations import BUCKET, DOUBLE_SLASH, TREES, all_but


def test_obstore(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(BUCKET, DOUBLE_SLASH, TREES),
        "copy if absent",
        "get if changed",
        "put if unchanged",
        "ranges",
        "reader",
        "writer",
    ]
    run_script("arrow", "obstore_client", operations, "obstore")
