"""aws-sdk-js v3: client-s3, lib-storage, the presigner, and every checksum it offers."""

from pathlib import Path
from typing import Any

from endpoint import TOOLS
from program import SDK_OPERATIONS, Tool, run_program

SCRIPT = Path(__file__).with_name("js") / "sdk.mjs"
OTHER_CHECKSUMS = ["MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"]
CHECKSUMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
OPERATIONS = [
    *SDK_OPERATIONS,
    *("put stream of known length", "put large stream", "put small by lib-storage", "abort an upload"),
    *("get a missing key", "copy and move", "presigned put with metadata", "virtual host"),
    *("conditional put", "conditional get"),
    *(f"checksum {name}" for name in (*CHECKSUMS, *OTHER_CHECKSUMS)),
    *(f"multipart checksum {name}" for name in CHECKSUMS),
]


def test_sdk_js(environment: dict[str, str], s3: Any, bucket: str, covered: Any) -> None:
    run_program(
        Tool(["/usr/bin/env", "node", str(SCRIPT)], environment, TOOLS / "js"), s3, bucket, OPERATIONS
    )
    covered("aws-sdk-js v3", OPERATIONS)
