"""fake-gcs-server, an emulator of Google Cloud Storage, as `make emulators` installs it.

It has no credentials and few scruples: what it ignores is held by the stub beside this file.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from aws import free_port
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from server_process import PATIENCE

EMULATOR = Path(__file__).parents[2] / ".tools/emulators/fake-gcs"
BUCKET = "upstream"
"""The bucket upstream, in which each store has a prefix of its own."""


def client(endpoint: str) -> Client:
    """The SDK, as somebody would use it who has never heard of BleepStore."""
    return Client(
        project="a-project", credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
    )


@contextmanager
def fake_gcs(log: Path | None = None) -> Iterator[str]:
    """Start it on a free port, everything in memory, with :data:`BUCKET`, and give the endpoint."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [
        *(_program(), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1"),
        *("-port", str(port), "-external-url", endpoint, "-public-host", f"127.0.0.1:{port}"),
        *("-log-level", "warn"),
    ]
    output = log.open("ab") if log is not None else subprocess.DEVNULL
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environ
    )
    try:
        end = time.monotonic() + PATIENCE
        while not _makes_bucket(endpoint):
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < end, f"{command[0]} makes no bucket"
            time.sleep(0.01)
        yield endpoint
    finally:
        process.kill()  # nothing of it is kept
        process.wait()
        if log is not None:
            output.close()


def _program() -> str:
    found = sorted(EMULATOR.glob("lib/python3*/site-packages/**/bin/fake-gcs-server-linux-amd64"))
    assert found, f"{EMULATOR} is not complete: `make emulators` installs it"
    return str(found[0])


def _makes_bucket(endpoint: str) -> bool:
    try:
        answer = requests.post(f"{endpoint}/storage/v1/b", json={"name": BUCKET}, timeout=5)
    except requests.ConnectionError:
        return False
    return answer.ok
