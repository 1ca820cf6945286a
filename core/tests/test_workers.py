"""Workers that come when they are needed: started on the same sockets, and gone with the server."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bleepstore import workers
from bleepstore.settings import ServerSettings, Settings
from bleepstore.sqlite.locks import TOKEN
from bleepstore.sqlite.plugin import SqliteSettings
from bleepstore.supervisor import bind
from bleepstore.workers import Reinforcement, leave_when_idle, processors
from bleepstore_backend_local.plugin import LocalSettings

pytestmark = pytest.mark.anyio
PATIENCE = 30.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """Plays the first process's server."""

    draining = False
    connections = 0
    drained = False

    def drain(self) -> None:
        self.drained = True


@pytest.fixture
def listening() -> Iterator[list[socket.socket]]:
    sockets = bind("127.0.0.1", 0)
    yield sockets
    for one in sockets:
        one.close()


@pytest.fixture
async def reinforcement(
    tmp_path: Path, listening: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Reinforcement]:
    """Of a process that is always busy, and answers nothing itself."""
    monkeypatch.setenv(TOKEN, "token")
    monkeypatch.setattr(workers, "BUSY", -1.0)
    monkeypatch.setattr(workers, "LOOK", 0.01)
    sections = {
        "metadata.sqlite": SqliteSettings(path=tmp_path / "metadata.db"),
        "storage.local": LocalSettings(root_dir=tmp_path / "objects"),
    }
    settings = Settings(sections=sections, server=ServerSettings(shutdown_grace=2))
    reinforcement = Reinforcement(settings, listening, 2)
    yield reinforcement
    for worker in reinforcement.workers:
        worker.kill()
        worker.wait()


async def ask(listening: list[socket.socket]) -> bytes:
    """The first line of an answer on the shared socket."""
    reader, writer = await asyncio.open_connection(*listening[0].getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readline()
    writer.close()
    return answer


async def test_a_busy_process_gets_a_worker_on_its_sockets_and_takes_it_along(
    reinforcement: Reinforcement, listening: list[socket.socket]
) -> None:
    beside = asyncio.create_task(reinforcement.beside(Server()))
    assert (await ask(listening)).startswith(b"HTTP/1.1 403")
    (worker,) = reinforcement.workers
    assert worker.poll() is None
    beside.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(beside, PATIENCE)
    assert worker.returncode == 0


async def test_no_more_processes_than_were_asked_for(
    reinforcement: Reinforcement, listening: list[socket.socket]
) -> None:
    server = Server()
    beside = asyncio.create_task(reinforcement.beside(server))
    for _ in range(3):
        await ask(listening)
    assert len(reinforcement.workers) == 1
    server.draining = True
    await asyncio.wait_for(beside, PATIENCE)
    assert reinforcement.workers == []


async def test_a_worker_that_dies_is_replaced_while_there_is_work(
    reinforcement: Reinforcement, listening: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PAUSE", 0.0)
    server = Server()
    beside = asyncio.create_task(reinforcement.beside(server))
    await ask(listening)
    (first,) = reinforcement.workers
    first.kill()
    async with asyncio.timeout(PATIENCE):
        while first in reinforcement.workers:
            await asyncio.sleep(0.01)
    assert (await ask(listening)).startswith(b"HTTP/1.1 403")
    (second,) = reinforcement.workers
    assert second.pid != first.pid
    server.draining = True
    await asyncio.wait_for(beside, PATIENCE)


async def test_after_a_worker_that_fails_none_is_tried_for_a_while(
    reinforcement: Reinforcement, tmp_path: Path
) -> None:
    (tmp_path / "metadata.db").write_text("no database")
    server = Server()
    beside = asyncio.create_task(reinforcement.beside(server))
    async with asyncio.timeout(PATIENCE):
        while not reinforcement._not_before:
            await asyncio.sleep(0.01)
    for _ in range(2 * workers.LONG_ENOUGH):
        await asyncio.sleep(workers.LOOK)
    assert reinforcement.workers == []
    server.draining = True
    await asyncio.wait_for(beside, PATIENCE)


async def test_an_idle_process_stays_alone(
    reinforcement: Reinforcement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "BUSY", 100.0)
    looks = 0
    pause = asyncio.sleep

    async def counted(seconds: float) -> None:
        nonlocal looks
        looks += 1
        server.draining = looks > 5 * workers.LONG_ENOUGH
        await pause(0)

    server = Server()
    monkeypatch.setattr(asyncio, "sleep", counted)
    await reinforcement.beside(server)
    assert looks > workers.LONG_ENOUGH
    assert reinforcement.workers == []


async def test_a_worker_without_connections_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "IDLE", 0.05)
    server = Server()
    await asyncio.wait_for(leave_when_idle(server), PATIENCE)
    assert server.drained


async def test_a_worker_with_a_connection_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "IDLE", 0.02)
    server = Server()
    server.connections = 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(leave_when_idle(server), 0.5)
    assert not server.drained


@pytest.mark.parametrize(
    ("quota", "count"), [("max 100000\n", None), ("100000 100000\n", 1), ("50000 100000\n", 1), ("?", None)]
)
def test_processors_are_those_of_the_control_group(tmp_path: Path, quota: str, count: Any) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert processors(file) == (count or len(os.sched_getaffinity(0)))
