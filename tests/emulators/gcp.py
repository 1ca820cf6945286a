"""fake-gcs-server, an emulator of Google Cloud Storage, as `make emulators` installs it.

It has no credentials and few scruples: what it ignores is held by the stub beside this file. What it
composes over an object keeps that object's generation; :func:`ask` does as the service does.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import faulty_http
import requests
from aws import free_port
from faulty_http import Answer, Request
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


def ask(request: Request) -> Answer:
    """What answers behind ``faulty_http``: the emulator, and composes that make a new generation."""
    place, _, _ = request.target.partition("/compose?")
    if request.method != "POST" or place == request.target:
        return faulty_http.ask(request)
    url, query = f"http://{request.faults.upstream}{place}", request.query
    found = requests.get(url, timeout=30)
    generation = found.json()["generation"] if found.ok else "0"
    if query.get("ifGenerationMatch", generation) != generation:
        reason = {"reason": "conditionNotMet", "message": "conditionNotMet"}
        answer = {"error": {"code": 412, "message": "conditionNotMet", "errors": [reason]}}
        return 412, {"content-type": "application/json"}, json.dumps(answer).encode()
    if found.ok:
        requests.delete(url, timeout=30).raise_for_status()
    request.target = f"{place}/compose"
    return faulty_http.ask(request)


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
