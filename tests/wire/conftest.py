"""A server, a signer for its first account, and one bucket for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import ServerProcess
from signed_wire import Wire


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(Path(tmp_path_factory.mktemp("wire")))
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()
    # Whatever came in, nothing took the server by surprise.
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    """The server, which must still answer after the test."""
    wire = Wire(server)
    yield wire
    assert wire.ask("GET", "/").status == 200


@pytest.fixture
def bucket(wire: Wire) -> str:
    """The path of a new bucket, with a slash before it and none after."""
    path = f"/wire-{uuid.uuid4().hex[:20]}"
    assert wire.ask("PUT", path, b"").status == 200
    return path
