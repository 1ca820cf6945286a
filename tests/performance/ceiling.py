"""What disk, MD5 and loopback allow here: the ceiling that servers are held against, in the same run.

    python tests/performance/ceiling.py [--directory DIR] [--seconds S]

Everything is a plain loop over system calls, as ``dd`` would do it. *PUT* is a process that receives from
loopback, hashes, writes, and syncs at the end, the three overlapped; *GET* one that sends a cached file.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

MIB = 1024 * 1024
BLOCK = os.urandom(MIB)


def repeat(once: Callable[[], int], seconds: float) -> float:
    """Units a second of ``once``, which returns how many it did."""
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        count += once()
    return count / (time.perf_counter() - begun)


def written(directory: Path, size: int = 100) -> Callable[[], int]:
    """Write ``size`` MiB to a new file and fdatasync it."""

    def once() -> int:
        path = directory / "written"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for _ in range(size):
            os.write(descriptor, BLOCK)
        os.fdatasync(descriptor)
        os.close(descriptor)
        path.unlink()
        return size

    return once


def synced(directory: Path) -> Callable[[], int]:
    """Append 1 KiB to a file and fdatasync it."""
    descriptor = os.open(directory / "synced", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def once() -> int:
        os.write(descriptor, BLOCK[:1024])
        os.fdatasync(descriptor)
        return 1

    return once


def hashed() -> int:
    """MD5 of 16 MiB."""
    digest = hashlib.md5(usedforsecurity=False)
    for _ in range(16):
        digest.update(BLOCK)
    return 16


def _serve_once(listener: socket.socket, work: Callable[[socket.socket], None]) -> None:
    connection, _ = listener.accept()
    with connection:
        work(connection)


def _with_process(work: Callable[[socket.socket], None], here: Callable[[socket.socket], int]) -> float:
    """MiB a second that ``here`` moves over loopback to or from a process that does ``work``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=_serve_once, args=(listener, work))
        process.start()
        with socket.create_connection(listener.getsockname()) as connection:
            begun = time.perf_counter()
            moved = here(connection)
            took = time.perf_counter() - begun
        process.join()
    return moved / took


def _sends(size: int) -> Callable[[socket.socket], int]:
    def here(connection: socket.socket) -> int:
        for _ in range(size):
            connection.sendall(BLOCK)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        return size

    return here


def _swallows(connection: socket.socket) -> None:
    buffer = bytearray(MIB)
    while connection.recv_into(buffer):
        pass


def _stores(directory: Path) -> Callable[[socket.socket], None]:
    """Receive, hash and write, each in a thread; then sync and answer."""

    def work(connection: socket.socket) -> None:
        to_hash: SimpleQueue[bytes] = SimpleQueue()
        to_write: SimpleQueue[bytes] = SimpleQueue()
        room = threading.Semaphore(16)
        path = directory / "stored"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        digest = hashlib.md5(usedforsecurity=False)

        def hashing() -> None:
            while block := to_hash.get():
                digest.update(block)

        def writing() -> None:
            while block := to_write.get():
                os.write(descriptor, block)
                room.release()

        threads = [threading.Thread(target=hashing), threading.Thread(target=writing)]
        for thread in threads:
            thread.start()
        while block := connection.recv(MIB, socket.MSG_WAITALL):
            room.acquire()
            to_hash.put(block)
            to_write.put(block)
        for queue in (to_hash, to_write):
            queue.put(b"")
        for thread in threads:
            thread.join()
        os.fdatasync(descriptor)
        os.close(descriptor)
        path.unlink()
        connection.sendall(b"k")

    return work


def _sends_file(path: Path) -> Callable[[socket.socket], None]:
    def work(connection: socket.socket) -> None:
        with path.open("rb", buffering=0) as file:
            buffer = bytearray(MIB)
            while count := file.readinto(buffer):
                connection.sendall(memoryview(buffer)[:count])

    return work


def _receives(connection: socket.socket) -> int:
    buffer, total = bytearray(MIB), 0
    while count := connection.recv_into(buffer):
        total += count
    return total // MIB


def measure(directory: Path, seconds: float = 1.0, size: int = 100) -> dict[str, float]:
    """Each figure; those without another unit in MiB a second."""
    with tempfile.TemporaryDirectory(prefix="bleepstore-ceiling-", dir=directory) as folder:
        here = Path(folder)
        found = {
            "write and fdatasync": repeat(written(here, size), seconds),
            "fdatasync of 1 KiB, a second": repeat(synced(here), seconds),
            "MD5": repeat(hashed, seconds),
            "loopback": _with_process(_swallows, _sends_and_ends(size * 10)),
            "PUT": _with_process(_stores(here), _sends(size)),
        }
        file = here / "read"
        file.write_bytes(BLOCK * size)
        found["GET"] = _with_process(_sends_file(file), _receives)
    return found


def _sends_and_ends(size: int) -> Callable[[socket.socket], int]:
    def here(connection: socket.socket) -> int:
        for _ in range(size):
            connection.sendall(BLOCK)
        return size

    return here


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    for name, value in measure(options.directory, options.seconds).items():
        print(f"{name:30} {value:10.0f}")


if __name__ == "__main__":
    main()
