"""aws-sdk-go-v2: the client, both of its transfer managers, the presigner, checksums."""

from pathlib import Path
from typing import Any

from endpoint import TOOLS
from program import SDK_OPERATIONS, Tool, run_program

OPERATIONS = [
    *SDK_OPERATIONS,
    *("put streams", "get large in parallel", "sync both ways", "the older transfer manager"),
    *("copy and move", "conditional put", "presigned put with metadata", "virtual host"),
    *(f"checksum {name}" for name in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5")),
]


def test_sdk_go(environment: dict[str, str], s3: Any, bucket: str, covered: Any, tmp_path: Path) -> None:
    program = Tool([str(TOOLS / "go" / "bin" / "sdk")], {**environment, "TMPDIR": str(tmp_path)}, tmp_path)
    run_program(program, s3, bucket, OPERATIONS)
    covered("aws-sdk-go-v2", OPERATIONS)
