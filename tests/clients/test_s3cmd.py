"""s3cmd."""

from collections.abc import Callable

from operations import CONDITIONS, PRESIGNED, all_but


def test_s3cmd(run_script: Callable[..., None]) -> None:
    operations = [
        *all_but(CONDITIONS, PRESIGNED, ["get ranged"]),
        "access list",
        "continue a download",
        "modify metadata",
        "multipart uploads",
        "remove a bucket",
        "tags",
        "usage",
    ]
    run_script("boto", "s3cmd_client", operations, "s3cmd")
