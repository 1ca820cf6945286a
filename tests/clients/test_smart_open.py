"""smart_open."""

from collections.abc import Callable

from operations import DOUBLE_SLASH, KEYS, OBJECTS


def test_smart_open(run_script: Callable[..., None]) -> None:
    operations = [
        *OBJECTS,
        "get ranged",
        "get what is missing",
        *KEYS,
        *DOUBLE_SLASH,
        "abandoned upload",
        "compressed",
        "large by parts",
        "lines",
        "read all of a prefix",
    ]
    run_script("boto", "smart_open_client", operations, "smart_open")
