"""Processes: addresses that are bound, signals that drain, workers that die.

Every server here is a process of its own, with one worker and with two.
"""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bleepstore.auth.presign import presign
from bleepstore.supervisor import BindFailed, bind, is_loopback

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def answered(port: int) -> http.client.HTTPConnection:
    """A connection that stays open after one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read().startswith(b"<?xml")
    return connection


def signed_put(port: int, length: int) -> bytes:
    """The headers of a PUT that wait for ``100 Continue``."""
    url = presign(
        "PUT",
        "bucket",
        "key",
        access_key="bleepstore",
        secret_key="bleepstore-secret",
        endpoint=f"http://127.0.0.1:{port}",
    )
    parts = urlsplit(url)
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n"
    return f"{head}Expect: 100-continue\r\n\r\n".encode()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- addresses --------------------------------------------------------------------------------------


@pytest.fixture
def bound() -> Iterator[Callable[..., list[socket.socket]]]:
    with contextlib.ExitStack() as stack:

        def bind_it(host: str, port: int = 0) -> list[socket.socket]:
            return [stack.enter_context(one) for one in bind(host, port)]

        yield bind_it


def test_a_free_port_is_the_same_for_all_addresses_of_a_name(bound):
    ports = {one.getsockname()[1] for one in bound("localhost")}
    assert len(ports) == 1
    assert ports != {0}


def test_a_taken_port_is_one_line(bound):
    port = bound("127.0.0.1")[0].getsockname()[1]
    with pytest.raises(BindFailed, match=rf"^127\.0\.0\.1:{port}: is already in use$"):
        bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_one_line():
    with pytest.raises(BindFailed, match=r"^192\.0\.2\.1:0: Cannot assign requested address$"):
        bind("192.0.2.1", 0)


def test_an_address_that_this_machine_lacks_is_passed_over_where_another_is_left(monkeypatch):
    both = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    (only,) = bind("localhost", 0)
    assert only.getsockname()[0] == "127.0.0.1"
    only.close()


def test_a_name_that_there_is_not_is_one_line():
    for call in (lambda: bind("no-such-host.invalid", 0), lambda: is_loopback("no-such-host.invalid")):
        with pytest.raises(BindFailed, match=r"^no-such-host\.invalid"):
            call()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("", False), ("192.0.2.1", False), ("::ffff:192.0.2.1", False)),
    ],
)
def test_loopback_is_what_nobody_else_can_reach(host, expected):
    assert is_loopback(host) is expected


# --- the end ----------------------------------------------------------------------------------------


@WORKERS
@SIGNALS
def test_a_signal_ends_the_server_whatever_connections_are_idle(launch, workers, number):
    server = launch("data", "--workers", workers).ready()
    silent = connect(server.port)
    idle = [answered(server.port) for _ in range(5)]
    assert server.end(number) == 0
    assert server.err == ""
    for connection in (silent, *(one.sock for one in idle)):
        assert connection.recv(1) == b""
        connection.close()


@WORKERS
def test_a_request_under_way_is_finished(launch, workers):
    server = launch("data", "--workers", workers, "--bucket", "bucket").ready()
    with connect(server.port) as connection:
        connection.sendall(signed_put(server.port, 5))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        server.process.send_signal(signal.SIGTERM)

        def refuses() -> bool:
            try:
                connect(server.port).close()
            except ConnectionRefusedError:
                return True
            return False

        server.wait_for(refuses, "end of listening")
        assert server.process.poll() is None
        connection.sendall(b"bytes")
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert server.process.wait(30) == 0
    assert server.err == ""


def test_a_request_that_never_ends_is_cut_after_the_grace(launch):
    environ = {"BLEEPSTORE_SERVER_SHUTDOWN_GRACE": "1"}
    server = launch("data", "--bucket", "bucket", environ=environ).ready()
    with connect(server.port) as connection:
        connection.sendall(signed_put(server.port, 5))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert server.end() == 0
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_second_ctrl_c_does_not_wait_for_requests(launch):
    server = launch("data", "--bucket", "bucket").ready()
    with connect(server.port) as connection:
        connection.sendall(signed_put(server.port, 5))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        server.process.send_signal(signal.SIGINT)

        def ended() -> bool:
            server.process.send_signal(signal.SIGINT)
            return server.process.poll() is not None

        server.wait_for(ended, "end")
    assert server.process.returncode == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return {"BLEEPSTORE_SERVER_TLS_CERTIFICATE": certificate, "BLEEPSTORE_SERVER_TLS_KEY": key}


@WORKERS
def test_an_idle_connection_of_tls_does_not_hold_the_server(launch, certificate, workers):
    """The transport would wait half a minute for a client that does not look."""
    environ = {**certificate, "BLEEPSTORE_SERVER_SHUTDOWN_GRACE": "300"}
    server = launch("data", "--workers", workers, environ=environ).ready()
    context = ssl._create_unverified_context()
    idle = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
    with contextlib.closing(idle):
        idle.request("GET", "/")
        idle.getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
    assert server.err == ""


def test_a_certificate_that_is_none_is_one_line(launch, certificate, tmp_path):
    (tmp_path / "bad.pem").write_text("no certificate")
    server = launch(
        "data", environ={**certificate, "BLEEPSTORE_SERVER_TLS_CERTIFICATE": str(tmp_path / "bad.pem")}
    )
    assert server.process.wait(30) == 2
    assert server.err.startswith(f"bleepstore: server.tls: {tmp_path}/bad.pem, ")
    assert server.err.count("\n") == 1


# --- workers ----------------------------------------------------------------------------------------


def test_a_worker_that_dies_is_replaced(launch):
    server = launch("data", "--workers", "2").ready()
    before = children(server.process.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)

    def replaced() -> bool:
        now = children(server.process.pid)
        return len(now) == 2 and before[0] not in now

    server.wait_for(replaced, "new worker")
    assert f"worker {before[0]} ended with -9, and is replaced" in server.err
    answered(server.port).close()
    assert server.end() == 0


def test_workers_end_when_the_process_that_watches_them_is_killed(launch):
    server = launch("data", "--workers", "2").ready()
    workers = children(server.process.pid)
    server.process.kill()
    server.process.wait()
    server.wait_for(lambda: not any(is_alive(pid) for pid in workers), "end of the workers")


@pytest.mark.parametrize(("workers", "number"), [("1", signal.SIGTERM), ("2", signal.SIGINT)])
def test_a_signal_during_the_start_ends_it(launch, workers, number):
    server = launch("data", "--workers", workers)
    data = server.folder / "data"
    server.wait_for((data / "metadata.db").exists, "database")  # the engines are being opened
    assert server.end(number) in (0, -number)
    assert "Traceback" not in server.err
    assert launch(str(data)).ready().end() == 0


@WORKERS
def test_a_start_that_fails_is_one_line_however_many_workers(launch, workers, tmp_path):
    (tmp_path / "file").write_text("no folder")
    server = launch(str(tmp_path / "file" / "data"), "--workers", workers)
    assert server.process.wait(30) == 2
    assert server.err.startswith("bleepstore: ")
    assert str(tmp_path / "file") in server.err
    assert server.err.count("\n") == 1
    assert server.out == ""


@WORKERS
def test_the_second_server_of_a_data_directory_is_refused(launch, workers):
    first = launch("data").ready()
    data = first.folder / "data"
    second = launch(str(data), "--workers", workers)
    assert second.process.wait(30) == 2
    assert second.err == (
        f"bleepstore: {data}: is already in use by another BleepStore server (pid {first.process.pid})\n"
    )
    answered(first.port).close()
    assert first.end() == 0
    assert launch(str(data), "--workers", workers).ready().end() == 0
