"""What stands for AWS in tests: moto and SeaweedFS, as `make emulators` installs them, and BleepStore itself.

Each is wrong somewhere. moto checks neither signatures nor digests, and ignores the preconditions of
copies and If-Match of CompleteMultipartUpload. SeaweedFS takes keys for paths of files: it joins
slashes, has no object ``a/`` nor ``a`` beside ``a/b``, and lists in the order of folders; of two uploads of a
key that are completed at once it lets both succeed. BleepStore in front of BleepStore is the strictest.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from server_process import FIRST, PATIENCE, ServerProcess

EMULATORS = Path(__file__).parents[2] / ".tools/emulators"
KEYS = {"AWS_ACCESS_KEY_ID": FIRST.access_key, "AWS_SECRET_ACCESS_KEY": FIRST.secret_key}
"""Every upstream of these tests takes this pair."""
BUCKET = "upstream"
"""The bucket upstream, in which each store has a prefix of its own."""


@dataclass(frozen=True)
class Endpoint:
    """An upstream that runs."""

    url: str
    pid: int

    def client(self, **config: Any) -> Any:
        """The SDK, as somebody would use it who has never heard of BleepStore."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=FIRST.access_key,
            aws_secret_access_key=FIRST.secret_key,
            config=Config(s3={"addressing_style": "path"}, **config),
        )


@contextmanager
def moto(directory: Path) -> Iterator[Endpoint]:
    """moto's server: objects in memory."""
    port = free_port()
    command = [program("moto", "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with running(command, directory, port) as endpoint:
        yield endpoint


@contextmanager
def seaweedfs(directory: Path) -> Iterator[Endpoint]:
    """Master, volume server, filer and gateway in one process; every port of its own is chosen."""
    port = free_port()
    names = [f"-{name}.port{kind}" for name in ("master", "volume", "filer") for kind in ("", ".grpc")]
    identity = {
        "name": "first",
        "credentials": [{"accessKey": FIRST.access_key, "secretKey": FIRST.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (directory / "data").mkdir(parents=True)
    (directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
    command = [
        *(program("seaweedfs", "weed"), "server", "-s3", "-master.telemetry=false", "-ip=127.0.0.1"),
        *(f"-dir={directory}/data", f"-s3.config={directory}/s3.json", f"-s3.port={port}"),
        *("-volume.max=200", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=1"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.port.grpc={free_port()}"),
        *(f"-filer.localSocket={directory}/filer.sock", f"-s3.localSocket={directory}/s3.sock"),
        *(f"{name}={free_port()}" for name in names),
    ]
    with running(command, directory, port) as endpoint:
        yield endpoint


@contextmanager
def bleepstore(directory: Path) -> Iterator[Endpoint]:
    """BleepStore over the local disk, without the plugins of clouds."""
    plugins = {"disabled": ["aws", "gcp", "azure"]}
    server = ServerProcess(directory, settings={"plugins": plugins}).start()
    assert server.process is not None
    try:
        yield Endpoint(server.url, server.process.pid)
    finally:
        server.kill()


UPSTREAMS: dict[str, Callable[[Path], AbstractContextManager[Endpoint]]] = {
    "moto": moto,
    "seaweedfs": seaweedfs,
    "bleepstore": bleepstore,
}


def settings(endpoint: Endpoint, name: str, **more: object) -> dict[str, object]:
    """The section ``storage.aws`` for an upstream of this name, of which moto alone needs leave."""
    conditions = "single_writer" if name == "moto" else "upstream"
    return {"endpoint_url": endpoint.url, "conditions": conditions, **more}


# --- programs ---------------------------------------------------------------------------------------


def program(emulator: str, name: str) -> str:
    """The path of what `make emulators` has installed."""
    path = EMULATORS / emulator / "bin" / name
    assert path.exists(), f"{path} is missing: `make emulators` installs it"
    return str(path)


@contextmanager
def running(command: Sequence[str], directory: Path, port: int) -> Iterator[Endpoint]:
    """Run a program until the block ends, and go on when it can make a bucket."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=_environment(),
        )
    try:
        endpoint = Endpoint(f"http://127.0.0.1:{port}", process.pid)
        client = endpoint.client(retries={"total_max_attempts": 1})
        end = time.monotonic() + PATIENCE
        while not _makes_bucket(client):
            said = path.read_text(errors="replace")[-4000:]
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}:\n{said}"
            assert time.monotonic() < end, f"{command[0]} makes no bucket:\n{said}"
            time.sleep(0.01)
        yield endpoint
    finally:
        process.kill()  # nothing of it is kept
        process.wait()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def _makes_bucket(client: Any) -> bool:
    try:
        client.create_bucket(Bucket="first-answer")
    except (BotoCoreError, ClientError):
        return False
    return True


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
