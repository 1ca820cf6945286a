"""deltalake."""

from collections.abc import Callable


def test_deltalake(run_script: Callable[..., None]) -> None:
    operations = [
        "append",
        "checkpoint",
        "concurrent commits",
        "delete and update",
        "merge",
        "optimize",
        "racing creators",
        "read table",
        "time travel",
        "vacuum",
        "write table",
    ]
    run_script("arrow", "deltalake_client", operations, "deltalake")
