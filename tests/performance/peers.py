"""The peers that ``make bench-peers`` installs below ``.tools/peers``, each as its documentation says
to run it by itself, at its defaults. They are run as they come and never looked into.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers import BleepStore, Given, Program, Server, free_port

PROGRAMS = Path(
    os.environ.get("BLEEPSTORE_PEERS", Path(__file__).resolve().parents[2] / ".tools/peers")
).joinpath("bin")


@dataclass
class SeaweedFS(Program):
    """``weed server -s3``: master, volume server, filer and gateway in one process."""

    durability: str = "none: no fsync (its default)"

    def program(self) -> str:
        """One program with many commands."""
        return str(PROGRAMS / "weed")

    def arguments(self) -> list[str]:
        """Every port of its own is chosen, so that several can run, and telemetry is off."""
        if not (self.directory / "ports").exists():
            names = ["master", "volume", "filer"]
            ports = [f"-{name}.port{kind}={free_port()}" for name in names for kind in ("", ".grpc")]
            ports.append(f"-s3.port.grpc={free_port()}")
            (self.directory / "ports").write_text(json.dumps(ports))
        (self.directory / "data").mkdir(exist_ok=True)
        identity = {
            "name": "first",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
        return [
            "server",
            "-s3",
            "-master.telemetry=false",
            f"-dir={self.directory}/data",
            f"-s3.config={self.directory}/s3.json",
            "-ip=127.0.0.1",
            # Every bucket takes several volumes; the default allows eight in all.
            "-volume.max=200",
            "-master.volumeSizeLimitMB=1024",
            "-volume.preStopSeconds=1",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.port={self.port}",
            f"-filer.localSocket={self.directory}/filer.sock",
            f"-s3.localSocket={self.directory}/s3.sock",
            *json.loads((self.directory / "ports").read_text()),
        ]

    def ready(self) -> bool:
        """Ready when it can make a bucket: before that it answers errors."""
        return _makes_bucket(self)

    def version(self) -> str:
        """``weed version``."""
        text = subprocess.run([self.program(), "version"], capture_output=True, text=True).stdout
        return text.splitlines()[0].removeprefix("version ")


@dataclass
class Rclone(Program):
    """``rclone serve s3`` over a folder."""

    durability: str = "none: no fsync (its default)"

    def program(self) -> str:
        """One program with many commands."""
        return str(PROGRAMS / "rclone")

    def arguments(self) -> list[str]:
        """Each bucket is a folder of ``data``."""
        (self.directory / "data").mkdir(exist_ok=True)
        return [
            "serve",
            "s3",
            f"{self.directory}/data",
            f"--addr=127.0.0.1:{self.port}",
            f"--auth-key={self.access_key},{self.secret_key}",
            f"--config={self.directory}/rclone.conf",
        ]

    def version(self) -> str:
        """``rclone version``."""
        text = subprocess.run([self.program(), "version"], capture_output=True, text=True).stdout
        return text.splitlines()[0].removeprefix("rclone ")


@dataclass
class Moto(Program):
    """``moto_server``: a mock for tests, its objects in memory."""

    durability: str = "none: in memory (and it checks no signature)"

    def program(self) -> str:
        """A command of its own."""
        return str(PROGRAMS / "moto_server")

    def arguments(self) -> list[str]:
        """It takes any key pair."""
        return ["-H", "127.0.0.1", "-p", str(self.port)]

    def version(self) -> str:
        """The version of its distribution."""
        code = "import importlib.metadata as m; print(m.version('moto'))"
        return subprocess.run(
            [PROGRAMS / "python", "-c", code], capture_output=True, text=True
        ).stdout.strip()


KINDS: dict[str, type[Program]] = {"seaweedfs": SeaweedFS, "rclone": Rclone, "moto": Moto}


def server(name: str, directory: Path) -> Server:
    """The server that a name on the command line means."""
    if name.startswith("bleepstore"):
        _, workers, *more = [*name.split(":"), "auto"] if ":" not in name else name.split(":")
        settings: dict[str, dict[str, object]] = {}
        for item in more:
            path, _, value = item.partition("=")
            section, _, key = path.partition(".")
            settings.setdefault(section, {})[key] = int(value) if value.isdigit() else value
        return BleepStore(name, directory / name.replace(":", "-"), workers=workers, settings=settings)
    if name not in KINDS:
        raise SystemExit(
            f"no server is called {name}: bleepstore[:WORKERS[:SETTING=VALUE...]], {', '.join(KINDS)}"
        )
    return KINDS[name](name, directory / name)


def given(text: str, directory: Path) -> Server:
    """The endpoint of ``--peer NAME=URL[,ACCESS,SECRET]``."""
    name, _, rest = text.partition("=")
    url, *keys = rest.split(",")
    if not url or len(keys) not in (0, 2):
        raise SystemExit(f"--peer {text}: NAME=URL[,ACCESS,SECRET] is meant")
    more = dict(zip(("access_key", "secret_key"), keys, strict=False))
    return Given(name, directory / name, url=url.rstrip("/"), **more)


def _makes_bucket(peer: Server) -> bool:
    request = peer.presigner().request("PUT", "first-answer")
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5)
    try:
        connection.request("PUT", request.target)
        return connection.getresponse().status in (200, 409)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
