#!/usr/bin/env python3
"""Start, memory and simple throughput of a BleepStore server; standard library only.

    python tests/performance/measure.py [--workers 1 2] [--size MIB] [--seconds S] [--output FILE]

Starts one server for each number of workers and reports

- the time from its start to its first answered request,
- its resident memory when idle, and the highest while an object of ``--size`` MiB passes through it,
  up by multipart and down in one piece; the sum over all its processes, and proportional (PSS),
  in which shared pages count once,
- PUT and GET of 1 KiB objects a second over ``--connections`` kept connections with presigned URLs.

With BLEEPSTORE_ENDPOINT set that endpoint is measured (as AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY), and memory only when BLEEPSTORE_PID names its first process.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import platform
import re
import shlex
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "wire")]

from processes import memory  # noqa: E402
from raw_http import Connection, RawReply, request_bytes  # noqa: E402
from server_process import FIRST, Account, ServerProcess  # noqa: E402
from sigv4_by_hand import Signer  # noqa: E402

MIB = 1024 * 1024
PART = 16 * MIB
SMALL = os.urandom(1024)


# --- memory ---------------------------------------------------------------------------------------------


class Peak:
    """The highest memory seen while the block runs, looked at every 10 ms."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.highest = (0, 0)

    def _watch(self) -> None:
        while self._pid and not self._end.wait(0.01):
            now = memory(self._pid)
            self.highest = (max(self.highest[0], now[0]), max(self.highest[1], now[1]))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


# --- requests -------------------------------------------------------------------------------------------


@dataclass
class Endpoint:
    """One endpoint, its signer, and its first process where that is known."""

    url: str
    account: Account
    pid: int | None
    bucket: str = field(default_factory=lambda: f"measure-{uuid.uuid4().hex[:16]}")

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def request(self, method: str, key: str = "", query: str = "", body: bytes | None = None) -> bytes:
        """A presigned request, as it goes over the wire."""
        target = f"/{self.bucket}" + (f"/{key}" if key else "") + (f"?{query}" if query else "")
        signer = Signer(self.account.access_key, self.account.secret_key)
        headers = {"Host": self.host}
        if body is not None:
            headers["Content-Length"] = str(len(body))
        return request_bytes(method, signer.presign(method, self.host, target), headers, body or b"")

    def ask(self, method: str, key: str = "", query: str = "", body: bytes | None = None) -> RawReply:
        """One request on a connection of its own."""
        with Connection(self.port) as connection:
            connection.send(self.request(method, key, query, body))
            reply = connection.reply()
        if reply.status >= 300:
            raise RuntimeError(f"{method} {key}?{query}: {reply}")
        return reply


def upload(endpoint: Endpoint, size: int) -> float:
    """Multipart upload of ``size`` bytes; seconds."""
    block = os.urandom(PART)
    begun = time.perf_counter()
    reply = endpoint.ask("POST", "large", "uploads", b"").body.decode()
    upload_id = reply.partition("<UploadId>")[2].partition("</UploadId>")[0]
    parts = []
    for number in range(1, size // PART + 1):
        body = block[number:] + block[:number]
        done = endpoint.ask("PUT", "large", f"partNumber={number}&uploadId={upload_id}", body)
        etag = done.headers["etag"]
        parts.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    document = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
    endpoint.ask("POST", "large", f"uploadId={upload_id}", document)
    seconds = time.perf_counter() - begun
    expected = hashlib.md5()
    for number in range(1, size // PART + 1):
        expected.update(hashlib.md5(block[number:] + block[:number]).digest())
    if expected.hexdigest() not in endpoint.ask("GET", "", "list-type=2").body.decode():
        raise RuntimeError("what arrived is not what was sent")
    return seconds


def download(endpoint: Endpoint, size: int) -> float:
    """One GET of all of it; seconds."""
    begun = time.perf_counter()
    left = size
    with Connection(endpoint.port) as connection:
        connection.send(endpoint.request("GET", "large"))
        for piece in connection.stream():
            left -= len(piece)
    if left:
        raise RuntimeError(f"{left} bytes did not arrive")
    return time.perf_counter() - begun


async def _load(endpoint: Endpoint, make: Callable[[int], bytes], connections: int, seconds: float) -> float:
    """Requests a second, each of ``make(n)`` answered 200 over kept connections."""
    count = 0
    end = time.perf_counter() + seconds

    async def run(first: int) -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection(urlsplit(endpoint.url).hostname, endpoint.port)
        requests = [make(first * 1000 + n) for n in range(50)]
        n = 0
        while n < len(requests) or time.perf_counter() < end:  # all of them once: a GET needs its PUT
            writer.write(requests[n % 50])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = re.search(rb"content-length: (\d+)", head, re.I)
            await reader.readexactly(int(length[1]) if length else 0)
            n += 1
            count += 1
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(run(number) for number in range(connections)))
    return count / (time.perf_counter() - begun)


# --- one round ------------------------------------------------------------------------------------------


def mib(value: int) -> str:
    return f"{value / MIB:.0f} MiB" if value else "unknown"


def measure(endpoint: Endpoint, options: argparse.Namespace) -> dict[str, str]:
    """Everything but the start."""
    found: dict[str, str] = {}
    idle = memory(endpoint.pid) if endpoint.pid else (0, 0)
    found["resident, idle"], found["proportional, idle"] = map(mib, idle)
    endpoint.ask("PUT", body=b"")
    size = options.size * MIB // PART * PART
    with Peak(endpoint.pid) as peak:
        up = upload(endpoint, size)
    found[f"{options.size} MiB up"] = f"{size / MIB / up:.0f} MiB/s"
    found["resident, peak up"], found["proportional, peak up"] = map(mib, peak.highest)
    with Peak(endpoint.pid) as peak:
        down = download(endpoint, size)
    found[f"{options.size} MiB down"] = f"{size / MIB / down:.0f} MiB/s"
    found["resident, peak down"], found["proportional, peak down"] = map(mib, peak.highest)

    def put(n: int) -> bytes:
        return endpoint.request("PUT", f"small/{n}", body=SMALL)

    def get(n: int) -> bytes:
        return endpoint.request("GET", f"small/{n}")

    for name, make in (("PUT 1 KiB", put), ("GET 1 KiB", get)):
        rate = asyncio.run(_load(endpoint, make, options.connections, options.seconds))
        found[name] = f"{rate:.0f}/s"
    clear(endpoint)
    return found


def clear(endpoint: Endpoint) -> None:
    """Remove all that was made."""
    while keys := re.findall(r"<Key>(.*?)</Key>", endpoint.ask("GET", "", "list-type=2").body.decode()):
        for key in keys:
            endpoint.ask("DELETE", key)
    endpoint.ask("DELETE")


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, str]]]:
    """A column of the report for each server."""
    url = os.environ.get("BLEEPSTORE_ENDPOINT")
    if url:
        account = Account(
            os.environ.get("AWS_ACCESS_KEY_ID", FIRST.access_key),
            os.environ.get("AWS_SECRET_ACCESS_KEY", FIRST.secret_key),
        )
        pid = os.environ.get("BLEEPSTORE_PID")
        yield "endpoint", measure(Endpoint(url.rstrip("/"), account, int(pid) if pid else None), options)
        return
    for workers in options.workers:
        with tempfile.TemporaryDirectory(prefix="bleepstore-measure-") as directory:
            server = ServerProcess(Path(directory), workers=workers)
            try:
                starts = []
                for _ in range(3):  # the first one makes the database and warms the disk cache
                    begun = time.perf_counter()
                    server.start()
                    starts.append(time.perf_counter() - begun)
                    if len(starts) < 3:
                        server.stop()
                assert server.process is not None
                found = {"first start to first answer": f"{starts[0]:.2f} s"}
                found["start to first answer"] = f"{min(starts):.2f} s"
                found |= measure(Endpoint(server.url, FIRST, server.process.pid), options)
                yield f"{workers} worker{'s' * (workers > 1)}", found
                server.stop()
            finally:
                server.kill()


def report(columns: list[tuple[str, dict[str, str]]]) -> str:
    """A Markdown table with the command that made it."""
    names = list(dict.fromkeys(name for _, found in columns for name in found))
    lines = [
        "# Start, memory, throughput",
        "",
        f"`{shlex.join(['python', 'tests/performance/measure.py', *sys.argv[1:]])}`",
        "",
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} "
        "CPUs; the load generator (one process, standard library) runs beside the server.",
        "",
        "| | " + " | ".join(name for name, _ in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    lines += [
        f"| {name} | " + " | ".join(found.get(name, "") for _, found in columns) + " |" for name in names
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large object")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each throughput measurement")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--output", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    text = report(list(rounds(options)))
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
