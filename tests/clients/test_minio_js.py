"""minio-js."""

from pathlib import Path
from typing import Any

from endpoint import TOOLS
from program import SDK_OPERATIONS, Tool, run_program

SCRIPT = Path(__file__).with_name("js") / "minio.mjs"
OPERATIONS = [
    *SDK_OPERATIONS,
    *("put stream", "put in parts", "put and get a file", "compose", "tags", "unfinished uploads"),
]


def test_minio_js(environment: dict[str, str], s3: Any, bucket: str, covered: Any) -> None:
    run_program(
        Tool(["/usr/bin/env", "node", str(SCRIPT)], environment, TOOLS / "js"), s3, bucket, OPERATIONS
    )
    covered("minio-js", OPERATIONS)
