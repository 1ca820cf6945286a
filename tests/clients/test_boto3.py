"""boto3, with transfers of its own and with those of the AWS CRT."""

from collections.abc import Callable

from operations import BUCKET, DOUBLE_SLASH, KEYS, OBJECTS, TREES, all_but


def test_boto3(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(TREES),
        "put what cannot seek",
        "get large in parallel",
        "put if unchanged",
        "one of many writers wins",
        "list version 1",
        "remove a bucket",
    ]
    run_script("boto", "boto3_client", operations, "boto3")


def test_boto3_with_the_crt(run_script: Callable[..., None]) -> None:
    operations = [
        *BUCKET,
        *OBJECTS,
        "size",
        "get what is missing",
        *KEYS,
        *DOUBLE_SLASH,
        "list 1500 keys",
        "upload with checksum",
        "upload with metadata",
        "delete",
    ]
    run_script("crt", "boto3_crt", operations, "boto3[crt]")
