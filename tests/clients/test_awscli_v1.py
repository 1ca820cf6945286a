"""The AWS CLI, version 1."""

from collections.abc import Callable

from operations import KEYS, all_but


def test_aws_cli_v1(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(KEYS, ["presigned PUT"]),
        "copy awkward keys",
        "get awkward keys",
        "keys of awkward files",
        "list awkward keys",
        "move awkward keys",
        "put 1500 keys",
        "put from standard input",
        "remove a bucket",
        "sync between prefixes",
        "sync up again",
        "sync with removal",
    ]
    run_script("boto", "awscli_v1", operations, "AWS CLI v1")
