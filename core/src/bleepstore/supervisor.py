"""Processes: the sockets are bound once, each worker answers on them, a dead one is replaced.

With one worker everything is in this process, and with ``auto`` what is needed beside it comes when
it is needed (see ``workers``). With a number this one only watches: it forks the workers before it has
a thread or a loop, passes SIGTERM on, and ends when they have ended. A worker holds
the reading end of a pipe; should this process die, the pipe ends and the workers drain and go too.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from bleepstore.discovery import Plugins
from bleepstore.settings import Settings
from bleepstore.workers import MOST, Beside, Reinforcement, processors

BACKLOG = 2048
PAUSE = 1.0
"""Seconds before a worker that died is replaced."""
ENDINGS = (signal.SIGTERM, signal.SIGINT)
"""Signals that end the server."""
READY = b"."
"""What a worker says when it answers requests; anything else is why it cannot."""
LONGEST = 4096
"""Bytes that a pipe takes at once."""
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What the system says of an address that it does not have."""
FAILED = 2
"""Exit code of a server that cannot start."""
TOKEN = "BLEEPSTORE_SERVER_TOKEN"  # noqa: S105 - the name of a variable

log = logging.getLogger("bleepstore.supervisor")


class BindFailed(Exception):
    """The address cannot be bound: one line for the operator."""


def is_loopback(host: str) -> bool:
    """Whether nobody outside this machine can reach a host name or address.

    Raises :class:`BindFailed` for a name that there is not.
    """
    try:
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BindFailed(f"{host}: {error.strerror}") from None
    return all(ipaddress.ip_address(str(item[4][0]).partition("%")[0]).is_loopback for item in found)


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for all addresses of a host, on one port. Raises :class:`BindFailed`."""
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                # Where 0 was asked for, the other addresses take the port that the first was given.
                listening = _listen(family, kind, protocol, (address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error  # a machine without IPv6 still knows ::1 as a name of localhost
                continue
            sockets.append(listening)
            port = listening.getsockname()[1]
        if absent is not None and not sockets:
            raise absent
    except OSError as error:
        for listening in sockets:
            listening.close()
        in_use = error.errno == errno.EADDRINUSE
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise BindFailed(f"{place}: {'is already in use' if in_use else error.strerror}") from None
    return sockets


def _listen(family: int, kind: int, protocol: int, address: tuple[Any, ...]) -> socket.socket:
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def run(
    settings: Settings, plugins: Plugins, sockets: Sequence[socket.socket], ready: Callable[[], None]
) -> int:
    """Serve until told to end; returns the exit code. ``ready`` is called at the first answer."""
    with contextlib.ExitStack() as stack:
        for listening in sockets:
            stack.enter_context(listening)
        workers = settings.server.workers
        most = min(processors(), MOST) if workers == "auto" else workers
        if most == 1:
            return serve(settings, plugins, sockets, ready, complain)
        os.environ[TOKEN] = secrets.token_hex(16)
        if workers == "auto":
            reinforcement = Reinforcement(settings, sockets, most)
            return serve(settings, plugins, sockets, ready, complain, beside=reinforcement.beside)
        # Imported before the fork, so that the workers share its memory.
        import bleepstore.app  # noqa: F401

        return _Supervisor(settings, plugins, sockets, ready, most).run()


def serve(
    settings: Settings,
    plugins: Plugins,
    sockets: Sequence[socket.socket],
    ready: Callable[[], None],
    failed: Callable[[str], None],
    *,
    until: int | None = None,
    beside: Beside | None = None,
) -> int:
    """Serve in this process; returns the exit code. ``failed`` is told why it could not start.

    ``until``: drain when this descriptor comes to its end. ``beside`` runs while it serves.
    """
    from bleepstore import app

    factory: Any = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            serving = app.serve(settings, plugins, sockets, ready, until=until, beside=beside)
            return runner.run(_then_deaf(serving))
    except app.StartFailed as error:
        failed(str(error))
        return FAILED
    except KeyboardInterrupt:
        return 0  # before the server listened to signals


async def _then_deaf(serving: Coroutine[Any, Any, int]) -> int:
    """What follows is the end of the process: one more Ctrl-C must not spoil its exit code."""
    try:
        return await serving
    finally:
        for number in ENDINGS:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def complain(text: str) -> None:
    """One line for the operator."""
    sys.stderr.write(f"bleepstore: {' '.join(text.splitlines())}\n")


class _Supervisor:
    """The watching process."""

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        sockets: Sequence[socket.socket],
        ready: Callable[[], None],
        count: int,
    ) -> None:
        self._settings = settings
        self._count = count
        self._plugins = plugins
        self._sockets = sockets
        self._ready = ready
        self._life, self._death = os.pipe()
        """A worker reads ``life``; it ends with this process, which alone keeps ``death``."""
        self._workers: dict[int, int] = {}
        """Reading end of its ready pipe by pid."""
        self._ending = False
        self._code = 0

    def run(self) -> int:
        for number in ENDINGS:
            signal.signal(number, self._end)
        for _ in range(self._count):
            self._fork()
        if self._wait_for_all():
            self._ready()
        while self._workers:
            pid, status = os.wait()
            self._buried(pid, os.waitstatus_to_exitcode(status))
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        return self._code

    def _fork(self) -> None:
        # A signal right after the fork would reach all workers but the new one.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        if self._ending:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
            return
        told, tell = os.pipe()
        pid = os.fork()
        if pid:
            os.close(tell)
            self._workers[pid] = told
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
            return
        for number in ENDINGS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        os.close(told)
        os.close(self._death)
        code = FAILED
        try:
            code = serve(
                self._settings,
                self._plugins,
                self._sockets,
                lambda: _tell(tell, READY),
                lambda text: _tell(tell, text.encode()),
                until=self._life,
            )
        except BaseException:
            log.exception("a worker failed")
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _wait_for_all(self) -> bool:
        """Whether every worker answers; when one cannot start, none shall."""
        for told in list(self._workers.values()):
            message = _heard(told)
            if message == READY:
                continue
            if not self._ending:
                # All say the same: a directory that one cannot use is of no use to another.
                self._code = FAILED
                complain(message.decode() or "a worker ended before it could answer")
                self._end()
            return False
        return True

    def _buried(self, pid: int, code: int) -> None:
        told = self._workers.pop(pid)
        message = _heard(told)
        os.close(told)
        if self._ending:
            self._code = max(self._code, code)
        elif code == FAILED:
            self._code = FAILED
            if message and message != READY:
                complain(message.decode())
            self._end()
        else:
            log.error("worker %d ended with %d, and is replaced", pid, code)
            time.sleep(PAUSE)
            self._fork()

    def _end(self, *_: object) -> None:
        self._ending = True
        for listening in self._sockets:
            listening.close()  # while one process has it open, clients wait for an answer in vain
        for pid in list(self._workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _tell(pipe: int, message: bytes) -> None:
    os.write(pipe, message[:LONGEST])
    os.close(pipe)


def _heard(pipe: int) -> bytes:
    """What a worker had to say; empty when it ended without a word, or was heard before."""
    return os.read(pipe, LONGEST)
