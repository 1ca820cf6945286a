"""boto3, with transfers of its own and with those of the AWS CRT."""

from collections.abc import Callable

EVERYTHING = [
    "create bucket",
]


def test_boto3(run_script: Callable[..., None]) -> None:
    run_script("boto", "boto3_client", EVERYTHING, "boto3")
