"""Commands over the socket: every outcome travels, and no command is lost or sent twice when an end goes."""

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from bleepstore.commands import Command, DeleteBucket, PutBucketDocument
from bleepstore.metadata import (
    BucketRecord,
    Committed,
    MetadataBusy,
    MetadataFull,
    MetadataUnavailable,
    Reason,
    Refused,
)
from bleepstore.sqlite import remote
from bleepstore.sqlite.codec import encode
from bleepstore.sqlite.remote import HEAD, CommandClient, CommandServer

pytestmark = pytest.mark.anyio

PATIENCE = 10.0


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: Any) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def command(number: int = 1) -> Command:
    return DeleteBucket(id=str(number), at=number, bucket=number)


class Submit:
    """Plays the writer: keeps what it was given, and answers when it is told to."""

    def __init__(self) -> None:
        self.seen: list[Command] = []
        self.answers: list[asyncio.Future[Any]] = []
        self.outcome: Any = None
        self.held = False
        self.came = asyncio.Event()

    def __call__(self, given: Command) -> asyncio.Future[Any]:
        self.seen.append(given)
        self.came.set()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.answers.append(future)
        if not self.held:
            self.settle(len(self.answers) - 1)
        return future

    def settle(self, number: int) -> None:
        if isinstance(self.outcome, Exception):
            self.answers[number].set_exception(self.outcome)
        else:
            self.answers[number].set_result(self.outcome)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.seen) < count:
                self.came.clear()
                await self.came.wait()


@pytest.fixture
async def submit() -> Submit:
    return Submit()


@pytest.fixture
async def server(tmp_path: Path, submit: Submit) -> AsyncIterator[CommandServer]:
    server = CommandServer(tmp_path / "socket", submit)
    await server.start()
    yield server
    await server.stop(0.01)


@pytest.fixture
async def connect(tmp_path: Path, server: CommandServer) -> AsyncIterator[Callable[..., Any]]:
    clients: list[CommandClient] = []

    async def begin() -> CommandClient:
        clients.append(await CommandClient.connect(tmp_path / "socket"))
        return clients[-1]

    yield begin
    await server.stop(0.01)
    for client in clients:
        await client.close()


async def greeted(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection by hand, after the writer's first frame."""
    reader, writer = await asyncio.open_unix_connection(path)
    size, number = HEAD.unpack(await asyncio.wait_for(reader.readexactly(HEAD.size), PATIENCE))
    assert (number, await reader.readexactly(size)) == (remote.WRITER, remote.READY)
    return reader, writer


async def outcome(future: asyncio.Future[Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        try:
            return await future
        except Exception as error:
            return error


@pytest.mark.parametrize(
    "result",
    [
        None,
        True,
        BucketRecord(id=1, name="b", owner="o", region="r", created=2, documents=frozenset({"cors"})),
        Committed(seq=1, etag="e", size=2, modified=3),
    ],
)
async def test_results_travel(connect: Any, submit: Submit, result: Any) -> None:
    submit.outcome = result
    client = await connect()
    assert await outcome(client.submit(command(7))) == result
    assert submit.seen == [command(7)]


@pytest.mark.parametrize("reason", list(Reason))
async def test_refusals_travel(connect: Any, submit: Submit, reason: Reason) -> None:
    submit.outcome = Refused(reason, "detail")
    client = await connect()
    refused = await outcome(client.submit(command()))
    assert (type(refused), refused.reason, refused.detail) == (Refused, reason, "detail")


@pytest.mark.parametrize("kind", [MetadataBusy, MetadataFull, MetadataUnavailable])
async def test_faults_travel(connect: Any, submit: Submit, kind: type[Exception]) -> None:
    submit.outcome = kind("why")
    client = await connect()
    fault = await outcome(client.submit(command()))
    assert (type(fault), str(fault)) == (kind, "why")


async def test_unforeseen_failure_of_the_writer_is_an_unknown_outcome(connect: Any, submit: Submit) -> None:
    submit.outcome = ZeroDivisionError("oh")
    client = await connect()
    assert isinstance(await outcome(client.submit(command())), MetadataUnavailable)


async def test_replies_find_their_callers_in_any_order(connect: Any, submit: Submit) -> None:
    submit.held = True
    clients = [await connect(), await connect()]
    futures = [clients[number % 2].submit(command(number)) for number in range(100)]
    await submit.wait_for(100)
    for at, given in reversed(list(enumerate(submit.seen))):
        submit.outcome = given.at
        submit.settle(at)
    assert [await outcome(future) for future in futures] == list(range(100))


async def test_order_of_one_worker_is_kept(connect: Any, submit: Submit) -> None:
    client = await connect()
    await asyncio.gather(*(client.submit(command(number)) for number in range(50)))
    assert [given.at for given in submit.seen] == list(range(50))


async def test_frame_beyond_the_bound_closes_that_connection_only(
    connect: Any, submit: Submit, tmp_path: Path
) -> None:
    client = await connect()
    reader, writer = await greeted(tmp_path / "socket")
    writer.write(HEAD.pack(remote.FRAME + 1, 1) + b"x")
    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    writer.close()
    assert await outcome(client.submit(command())) is None
    assert len(submit.seen) == 1


async def test_bytes_that_are_no_command_are_answered(connect: Any, submit: Submit, tmp_path: Path) -> None:
    reader, writer = await greeted(tmp_path / "socket")
    for payload in (b"", b"\x01Z", encode("no command")):
        writer.write(HEAD.pack(len(payload), 5) + payload)
        size, number = HEAD.unpack(await asyncio.wait_for(reader.readexactly(HEAD.size), PATIENCE))
        assert number == 5
        assert (await reader.readexactly(size))[0] == remote.UNAVAILABLE
    writer.close()
    assert submit.seen == []


@pytest.mark.parametrize(
    "reply",
    [
        HEAD.pack(2, 1) + b"\x00Z",
        HEAD.pack(0, 1),
        HEAD.pack(3, 9) + b"\x00\x01N",
        HEAD.pack(remote.FRAME + 1, 1),
        b"\x00\x00",
    ],
    ids=["undecodable", "empty", "to nobody", "too long", "cut short"],
)
async def test_reply_that_is_not_understood_ends_the_wait_of_all(tmp_path: Path, reply: bytes) -> None:
    """Nobody hangs, and the connection is not used any more."""

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD.pack(len(remote.READY), remote.WRITER) + remote.READY)
        await reader.readexactly(HEAD.size)
        writer.write(reply)
        writer.close()

    async with await asyncio.start_unix_server(nonsense, tmp_path / "socket"):
        client = await CommandClient.connect(tmp_path / "socket")
        futures = [client.submit(command(number)) for number in range(3)]
        outcomes = [await outcome(future) for future in futures]
        assert [type(fault) for fault in outcomes] == [MetadataUnavailable] * 3
        assert not client.open
        await client.close()


async def test_commands_that_wait_for_replies_have_a_bound(
    connect: Any, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit.held = True
    client = await connect()
    monkeypatch.setattr(remote, "FRAME", 3000)
    large = PutBucketDocument(id="1", at=1, bucket=1, name="cors", body=b"x" * 2000)
    first = client.submit(large)
    with pytest.raises(MetadataBusy):
        client.submit(large)
    await submit.wait_for(1)
    submit.settle(0)
    await outcome(first)
    second = client.submit(large)
    await submit.wait_for(2)
    submit.settle(1)
    assert await outcome(second) is None
    assert len(submit.seen) == 2


# --- an end goes -------------------------------------------------------------------------------------------


async def test_writer_that_stops_answers_what_was_sent(
    connect: Any, server: CommandServer, submit: Submit
) -> None:
    submit.held = True
    client = await connect()
    futures = [client.submit(command(number)) for number in range(10)]
    await submit.wait_for(10)
    stopping = asyncio.ensure_future(server.stop())
    async with asyncio.timeout(PATIENCE):
        while client.open:
            await asyncio.sleep(0)
    for number in range(10):
        submit.settle(number)
    await asyncio.wait_for(stopping, PATIENCE)
    assert [await outcome(future) for future in futures] == [None] * 10


async def test_commands_sent_before_the_worker_heard_of_the_stop_are_answered(
    connect: Any, server: CommandServer, submit: Submit
) -> None:
    client = await connect()
    await outcome(client.submit(command(0)))
    stopping = asyncio.ensure_future(server.stop())
    futures = [client.submit(command(number)) for number in range(1, 10)]
    await asyncio.wait_for(stopping, PATIENCE)
    assert [await outcome(future) for future in futures] == [None] * 9


async def test_worker_that_does_not_hear_is_cut_off(
    server: CommandServer, submit: Submit, tmp_path: Path
) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
    payload = encode(command())
    writer.write(HEAD.pack(len(payload), 1) + payload)
    await submit.wait_for(1)
    await asyncio.wait_for(server.stop(0.01), PATIENCE)
    writer.close()
    await asyncio.wait_for(reader.read(), PATIENCE)


async def test_command_of_a_worker_that_dies_is_applied_all_the_same(
    server: CommandServer, submit: Submit, tmp_path: Path
) -> None:
    """It was sent; and the writer goes on."""
    _, writer = await asyncio.open_unix_connection(tmp_path / "socket")
    payload = encode(command())
    writer.write(HEAD.pack(len(payload), 1) + payload)
    writer.transport.abort()
    client = await CommandClient.connect(tmp_path / "socket")
    assert await outcome(client.submit(command(2))) is None
    assert command(2) in submit.seen
    await client.close()


async def test_command_without_a_reply_has_an_unknown_outcome_and_is_not_sent_again(
    server: CommandServer, submit: Submit, tmp_path: Path
) -> None:
    submit.held = True
    client = await CommandClient.connect(tmp_path / "socket")
    future = client.submit(command())
    await submit.wait_for(1)
    for worker in list(server.workers):
        worker.transport.abort()
    assert isinstance(await outcome(future), MetadataUnavailable)
    assert not client.open
    assert len(submit.seen) == 1
    submit.settle(0)
    await client.close()


async def test_worker_that_stops_waits_for_its_replies(connect: Any, submit: Submit) -> None:
    submit.held = True
    client = await connect()
    future = client.submit(command())
    closing = asyncio.ensure_future(client.close())
    await submit.wait_for(1)
    submit.settle(0)
    await asyncio.wait_for(closing, PATIENCE)
    assert await outcome(future) is None


@pytest.mark.parametrize("said", [b"", HEAD.pack(7, 0) + remote.LEAVING, HEAD.pack(2, 0) + b"??"])
async def test_nothing_is_sent_to_a_writer_that_does_not_say_that_it_takes_commands(
    tmp_path: Path, said: bytes
) -> None:
    """A process that is dying still has a socket that one can connect to."""
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.write_eof()
        got.set_result(await reader.read())
        writer.close()

    async with await asyncio.start_unix_server(dying, tmp_path / "socket"):
        with pytest.raises(ConnectionAbortedError):
            await CommandClient.connect(tmp_path / "socket")
        assert await asyncio.wait_for(got, PATIENCE) == b""


# --- the file ----------------------------------------------------------------------------------------------


async def test_socket_is_nobody_elses_and_goes_with_the_server(
    tmp_path: Path, server: CommandServer, connect: Any
) -> None:
    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o600
    await server.stop()
    await server.stop()
    assert not (tmp_path / "socket").exists()
    with pytest.raises(OSError):
        await CommandClient.connect(tmp_path / "socket")


async def test_socket_of_a_dead_writer_is_replaced(tmp_path: Path, submit: Submit) -> None:
    remote._listening(tmp_path / "socket").close()
    with pytest.raises(ConnectionRefusedError):
        await CommandClient.connect(tmp_path / "socket")
    server = CommandServer(tmp_path / "socket", submit)
    await server.start()
    client = await CommandClient.connect(tmp_path / "socket")
    assert await outcome(client.submit(command())) is None
    await client.close()
    await server.stop()


async def test_path_may_be_longer_than_an_address(tmp_path: Path, submit: Submit) -> None:
    folder = tmp_path / ("long-" * 12) / ("name-" * 12)
    folder.mkdir(parents=True)
    server = CommandServer(folder / "socket", submit)
    await server.start()
    client = await CommandClient.connect(folder / "socket")
    assert await outcome(client.submit(command())) is None
    await client.close()
    await server.stop()
