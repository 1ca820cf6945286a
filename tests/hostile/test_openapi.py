"""The OpenAPI document and the server, held together by schemathesis: what the document allows and what not.

Requests are made from the document that the server itself serves, most of them signed. No answer is a fault,
every error is an S3 document, and the server stays small. The same requests each time; with
``BLEEPSTORE_FUZZ_SECONDS`` others, for as long.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import ServerProcess
from signed_wire import Wire

HERE = Path(__file__).parent
SCHEMATHESIS = HERE.parents[1] / ".tools" / "hostile" / "bin" / "schemathesis"
SECONDS = os.environ.get("BLEEPSTORE_FUZZ_SECONDS")
CHECKS = "what_s3_answers,status_code_conformance,content_type_conformance"
MEMORY = 150 * 1024
"""KiB that the server may have had at any time."""
FIXED = ("--max-examples", "1", "--seed", "20260102")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path)
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()
    assert "Traceback" not in server.log.read_text()


def prepare(wire: Wire) -> str:
    """Buckets and objects that requests will be about; the id of an upload under way."""
    for bucket in ("hostile-one", "hostile-two"):
        assert wire.ask("PUT", f"/{bucket}", b"").status == 200
        for key in ("a", "dir/b", "%C3%A9%20%2B%25"):
            assert wire.ask("PUT", f"/{bucket}/{key}", b"content").status == 200
    reply = wire.ask("POST", "/hostile-one/multipart?uploads", b"")
    return re.findall(rb"<UploadId>(.*)</UploadId>", reply.body)[0].decode()


@pytest.mark.timeout(int(SECONDS or 0) + 180)
def test_no_request_that_the_document_leads_to_surprises_the_server(
    server: ServerProcess, tmp_path: Path
) -> None:
    assert SCHEMATHESIS.exists(), "make hostile-tools"
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "openapi_hooks",
        "PYTHONPATH": str(HERE),
        "BLEEPSTORE_UPLOAD": prepare(Wire(server)),
    }
    command = [str(SCHEMATHESIS), "run", f"{server.url}/_bleepstore/openapi/s3.yaml", "--url", server.url]
    command += ["--phases", "coverage,fuzzing", "--checks", CHECKS, "--request-timeout", "15"]
    command += ["--warnings", "off", "--continue-on-failure"]
    command += ["--max-time", SECONDS] if SECONDS else FIXED
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-8000:]
    cases = int(re.findall(r"(\d+) generated", ended.stdout)[0])
    assert cases > 1000
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    assert int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) < MEMORY
