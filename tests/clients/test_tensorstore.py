"""tensorstore."""

from collections.abc import Callable

from operations import CONDITIONS, DELETING, DOUBLE_SLASH, KEYS, OBJECTS


def test_tensorstore(run_script: Callable[..., None]) -> None:
    operations = [
        *OBJECTS,
        "get what is missing",
        *KEYS,
        *DOUBLE_SLASH,
        *CONDITIONS,
        "list 1500 keys",
        *DELETING,
        "array resized in place",
        "put if unchanged",
        "transaction",
        "zarr array",
    ]
    run_script("arrow", "tensorstore_client", operations, "tensorstore")
