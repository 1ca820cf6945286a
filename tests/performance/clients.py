"""Load by processes of Python that speak HTTP over bare sockets: what wrk cannot send or understand.

HEAD, copies (they sign a header), mixed loads and large bodies. Each process drives its connections with
one epoll; requests are made before the clock starts, bodies are sent from one buffer and received into
one, so that a process can pass several GB/s and is not what is measured.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from urllib.parse import urlsplit

from load import Load, percentiles
from presigned import Request

PATIENCE = 60.0
"""Seconds without any event after which a run is given up."""
PIECE = 1024 * 1024
FIRST = 16 * 1024
"""Bytes to receive at once until the head is complete: what comes with it is copied."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.I)
_CLOSES = re.compile(rb"^HTTP/1\.0|\r\nconnection: *close", re.I)


@dataclass
class Sent:
    """One request with its body, which is shared by many."""

    request: Request
    body: bytes | memoryview | None = None


class _Exchange:
    """One connection: a request goes out, its reply comes in, and the next request follows."""

    def __init__(self, address: tuple[str, int], scratch: bytearray) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.scratch = scratch
        self.out: list[memoryview] = []
        self.began = 0.0
        self.head = b""
        self.left = -1
        """Bytes of the body that are to come; -1 until the head is complete, and while it is chunked."""
        self.status = 0
        self.no_body = False

    def begin(self, head: bytes, sent: Sent) -> None:
        """Line up the next request."""
        self.out = [memoryview(head)]
        if sent.body is not None:
            self.out.append(memoryview(sent.body))
        self.head, self.left, self.status = b"", -1, 0
        self.no_body = sent.request.method == "HEAD"
        self.began = time.perf_counter()

    def write(self) -> bool:
        """Send what can be sent; whether all is out."""
        while self.out:
            try:
                count = self.socket.sendmsg(self.out)
            except BlockingIOError:
                return False
            while self.out and count >= len(self.out[0]):
                count -= len(self.out.pop(0))
            if self.out:
                self.out[0] = self.out[0][count:]
        return True

    def read(self) -> tuple[bool, int]:
        """Receive what is there; whether the reply is complete, and how many bytes came."""
        try:
            count = self.socket.recv_into(self.scratch, FIRST if self.left == -1 else 0)
        except BlockingIOError:
            return False, 0
        if not count:
            raise EOFError("the server closed the connection")
        if self.left >= 0:
            self.left -= count
            return self.left <= 0, count
        self.head += memoryview(self.scratch)[:count]
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return False, count
        self.status = int(self.head[9:12])
        if self.status == 100:
            self.head = self.head[end + 4 :]
            return False, count
        length = _LENGTH.search(self.head, 0, end + 2)
        if self.no_body or self.status in (204, 304):
            return True, count
        if length is None and _CHUNKED.search(self.head, 0, end + 2):
            return self.head.endswith(b"0\r\n\r\n"), count
        self.left = int(length[1] if length else 0) - (len(self.head) - end - 4)
        if self.status < 400:
            self.head = self.head[: end + 2]
        return self.left <= 0, count


def _process(
    pipe: Pipe,
    address: tuple[str, int],
    requests: Sequence[Sent],
    connections: int,
    seconds: float,
    once: bool,
) -> None:
    """One process of the generator: says when it is ready, runs when it is told, gives what it saw."""
    made = [(s.request.head(None if s.body is None else len(s.body)), s) for s in requests]
    scratch = bytearray(PIECE)
    exchanges = [_Exchange(address, scratch) for _ in range(min(connections, len(made)))]
    pipe.send("ready")
    pipe.recv()
    used = resource.getrusage(resource.RUSAGE_SELF)
    taken, latencies, errors, received, told = 0, [], 0, 0, ""
    begun = time.perf_counter()
    end = begun + seconds
    with selectors.DefaultSelector() as selector:
        running = 0
        for exchange in exchanges:
            exchange.begin(*made[taken])
            taken += 1
            running += 1
            selector.register(exchange.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, exchange)
        while running:
            events = selector.select(PATIENCE)
            if not events:
                errors, told = errors + running, f"no event in {PATIENCE:g} s"
                break
            for key, mask in events:
                exchange = key.data
                try:
                    if mask & selectors.EVENT_WRITE and exchange.write():
                        selector.modify(exchange.socket, selectors.EVENT_READ, exchange)
                    if not mask & selectors.EVENT_READ:
                        continue
                    complete, count = exchange.read()
                except (OSError, EOFError) as error:
                    errors, told, complete, count, closes = errors + 1, told or str(error), True, 0, True
                    exchange.status = 0
                else:
                    closes = complete and _CLOSES.search(exchange.head) is not None
                received += count
                if not complete:
                    continue
                if 0 < exchange.status < 400:
                    latencies.append(time.perf_counter() - exchange.began)
                elif exchange.status:
                    errors += 1
                    told = told or exchange.head[:600].decode("latin-1")
                if closes:  # another connection takes its place
                    selector.unregister(exchange.socket)
                    exchange.socket.close()
                    exchange = _Exchange(address, scratch)
                    selector.register(exchange.socket, selectors.EVENT_READ, exchange)
                if taken == len(made):
                    taken = taken if once else 0
                if taken == len(made) or time.perf_counter() > end or errors > 100:
                    selector.unregister(exchange.socket)
                    running -= 1
                    continue
                exchange.begin(*made[taken])
                taken += 1
                if not exchange.write():
                    selector.modify(exchange.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, exchange)
    took = time.perf_counter() - begun
    now = resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    pipe.send((latencies, errors, received, took, cpu, told))
    pipe.close()


def run(
    url: str,
    requests: Sequence[Sent],
    *,
    connections: int,
    seconds: float,
    once: bool = False,
    processes: int | None = None,
) -> Load:
    """``requests`` dealt to processes that drive ``connections`` together."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    count = min(connections, len(requests), processes or max(1, (os.cpu_count() or 1) // 2))
    context = multiprocessing.get_context("fork")  # requests and bodies are not copied
    pipes, workers = [], []
    for number in range(count):
        ours, theirs = context.Pipe()
        share = connections // count + (number < connections % count)
        arguments = (theirs, address, requests[number::count], share, seconds, once)
        workers.append(context.Process(target=_process, args=arguments))
        workers[-1].start()
        theirs.close()
        pipes.append(ours)
    try:
        for pipe in pipes:
            pipe.recv()
        for pipe in pipes:
            pipe.send("go")
        results = [pipe.recv() for pipe in pipes]
    except EOFError:
        raise RuntimeError("a process of the load generator died") from None
    finally:
        for worker in workers:
            worker.join(1)
            worker.kill()
            worker.join()
    latencies = [value for result in results for value in result[0]]
    return Load(
        requests=len(latencies),
        seconds=max(result[3] for result in results),
        bytes=sum(result[2] for result in results),
        errors=sum(result[1] for result in results),
        generator_cpu=sum(result[4] for result in results),
        latency=percentiles(latencies),
        told=next((result[5] for result in results if result[5]), ""),
    )
