"""boto3, with transfers of its own and with those of the AWS CRT."""

from collections.abc import Callable

from operations import WITHOUT_TREES

MORE = [
    "put what cannot seek",
    "get large in parallel",
    "put if unchanged",
    "list version 1",
    "remove a bucket",
]


def test_boto3(run_script: Callable[..., None]) -> None:
    run_script("boto", "boto3_client", [*WITHOUT_TREES, *MORE], "boto3")
