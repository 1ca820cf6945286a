"""aiobotocore."""

from collections.abc import Callable

from operations import TREES, all_but


def test_aiobotocore(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(TREES),
        "many gets at once",
    ]
    run_script("aio", "aiobotocore_client", operations, "aiobotocore")
