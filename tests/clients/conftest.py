"""A server over plain HTTP and one over TLS; every test here runs against both.

``README.md`` says how a client's test is written.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import Config
from endpoint import NAME, SCRIPTS, TOOLS, Authority, Endpoint
from server_process import FIRST, ServerProcess

PATIENCE = 300.0
"""Seconds that one client may take for its whole exercise."""

Covered = Callable[[str, Iterable[str]], None]
RunScript = Callable[..., None]


@pytest.fixture(scope="session", params=["http", "tls"])
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The server, over plain HTTP and over TLS with a certificate made for it."""
    folder, ca = tmp_path_factory.mktemp(f"server-{request.param}"), None
    settings: dict[str, dict[str, object]] = {"server": {"domains": [NAME, "localhost"]}}
    if request.param == "tls":
        authority = Authority.issue(tmp_path_factory.mktemp("authority"))
        settings["server"]["tls"] = {"certificate": str(authority.certificate), "key": str(authority.key)}
        ca = authority.ca
    server = ServerProcess(folder, settings=settings)
    try:
        server.start()
        yield Endpoint(request.param, server.port, FIRST.access_key, FIRST.secret_key, server.region, ca)
        assert server.stop() == 0
    finally:
        server.kill()
    # Whatever the clients sent, nothing took the server by surprise.
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def s3(endpoint: Endpoint) -> Iterator[Any]:
    """A client of our own, to look at what the client under test has done."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint.url,
        verify=str(endpoint.ca) if endpoint.ca else None,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture
def bucket() -> str:
    """A name that no bucket has: to create it is the client's first exercise."""
    return f"client-{uuid.uuid4().hex[:16]}"


@pytest.fixture
def environment(endpoint: Endpoint, bucket: str, tmp_path: Path) -> dict[str, str]:
    """The environment to start a client in; its home is an empty folder."""
    home = tmp_path / "home"
    home.mkdir()
    return endpoint.environment(home, bucket)


@pytest.fixture
def covered(endpoint: Endpoint, record_property: Callable[[str, object], None]) -> Covered:
    """``covered(client, operations)``: what was exercised and came out right, for the table at the end."""

    def note(client: str, operations: Iterable[str]) -> None:
        record_property("covered", [client, endpoint.transport, sorted(set(operations))])

    return note


@pytest.fixture
def run_script(
    environment: dict[str, str], bucket: str, s3: Any, covered: Covered, tmp_path: Path
) -> RunScript:
    """``run_script(tools, script, operations)``: exercise a Python client of ``.tools/clients/TOOLS``.

    ``scripts/SCRIPT.py`` must do exactly these operations, and what it says it has stored must be
    what our own client reads.
    """

    def run(tools: str, script: str, operations: Iterable[str], client: str | None = None) -> None:
        python = TOOLS / tools / "bin" / "python"
        assert python.exists(), f"{python} is missing: `make client-environments`"
        if "create bucket" not in operations:
            s3.create_bucket(Bucket=bucket)
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        done = subprocess.run(
            [str(python), str(SCRIPTS / f"{script}.py")],
            env={**environment, "PATH": f"{python.parent}:{environment['PATH']}"},
            cwd=work,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        print(done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        failures = [line["failed"] + "\n" + line["why"] for line in lines if "failed" in line]
        assert not failures, "\n\n".join(failures)
        assert done.returncode == 0, done.stdout
        succeeded = {line["done"] for line in lines if "done" in line}
        assert succeeded == set(operations)
        for line in lines:
            if "stored" in line:
                reply = s3.get_object(Bucket=line.get("bucket", bucket), Key=line["stored"])
                found = hashlib.md5(reply["Body"].read(), usedforsecurity=False).hexdigest()
                assert found == line["md5"], f"{line['stored']!r} is not what the client wrote"
                assert "ContentEncoding" not in reply, reply
        covered(client or script, succeeded)

    return run


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many operations each client exercised, over which transport."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "covered" and report.when == "call":
                client, transport, operations = value
                found[client][transport] |= set(operations)
    if not found:
        return
    terminalreporter.section("operations exercised")
    for client in sorted(found, key=str.lower):
        counts = "   ".join(f"{transport} {len(done):3}" for transport, done in sorted(found[client].items()))
        terminalreporter.write_line(f"{client:24} {counts}")
    total = sum(len(done) for transports in found.values() for done in transports.values())
    terminalreporter.write_line(f"{len(found)} clients, {total} operations")
