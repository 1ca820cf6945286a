"""nginx as a process of its own, configured as ``nginx.conf`` says, and ways to ask through it."""

from __future__ import annotations

import grp
import http.client
import os
import pwd
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from endpoint import ROOT, Authority
from expectations import Answer
from raw_http import Connection
from server_process import PATIENCE

PROGRAM = ROOT / ".tools" / "system" / "bin" / "nginx"
SITE = "s3.example.com"
"""The name under which the world knows the server; DNS has no part in these tests."""
ADDRESS = "127.0.0.2"
"""Where nginx asks from: the only proxy that is trusted. Clients ask from elsewhere."""


class TlsConnection(Connection):
    """A bare connection inside TLS."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        super().__init__(port)
        self._socket = trust.wrap_socket(self._socket, server_hostname="127.0.0.1")


@dataclass
class Nginx:
    """A running nginx."""

    process: subprocess.Popen[bytes]
    log: Path
    ca: Path
    trust: ssl.SSLContext
    port: int
    """Passes ``Host`` on."""
    forwarding_port: int
    """Says it in ``X-Forwarded-Host``."""

    @classmethod
    def start(cls, folder: Path, authority: Authority, upstream: int) -> Nginx:
        """Start before the server on this port, and return when it listens."""
        assert PROGRAM.exists(), f"{PROGRAM} is missing: make system-tools"
        log, pid, configuration = folder / "error.log", folder / "nginx.pid", folder / "nginx.conf"
        # nginx takes no port 0, but sockets that listen already, as from the nginx that it follows.
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            ports = one.getsockname()[1], two.getsockname()[1]
            given = {
                "user": pwd.getpwuid(os.getuid()).pw_name,
                "group": grp.getgrgid(os.getgid()).gr_name,
                "folder": folder,
                "upstream": upstream,
                "certificate": authority.certificate,
                "key": authority.key,
                "address": ADDRESS,
                "host": ports[0],
                "forwarded": ports[1],
            }
            text = Path(__file__).with_name("nginx.conf").read_text()
            for name, value in given.items():
                text = text.replace(f"@{name}@", str(value))
            configuration.write_text(text)
            inherited = (one.fileno(), two.fileno())
            process = subprocess.Popen(
                [str(PROGRAM), "-p", str(folder), "-e", str(log), "-c", str(configuration)],
                env={**os.environ, "NGINX": "".join(f"{number};" for number in inherited)},
                pass_fds=inherited,
            )
        trust = ssl.create_default_context(cafile=str(authority.ca))
        started = cls(process, log, authority.ca, trust, *ports)
        end = time.monotonic() + PATIENCE
        while not pid.exists():
            if process.poll() is not None or time.monotonic() > end:
                started.stop()
                raise RuntimeError(f"nginx does not start: {log.read_text()}")
            time.sleep(0.01)
        return started

    def stop(self) -> int:
        """End at once and return the exit status."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def connect(self) -> TlsConnection:
        """A bare connection."""
        return TlsConnection(self.port, self.trust)

    def fetch(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
    ) -> Answer:
        """Follow a URL of the site, from this address."""
        parts = urlsplit(url)
        assert parts.scheme == "https"
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=PATIENCE, context=self.trust, source_address=(source, 0)
        )
        with closing(connection):
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request(method, target, body, {"Host": parts.netloc, **(headers or {})})
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, found, reply.read())
