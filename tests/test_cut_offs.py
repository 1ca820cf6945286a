"""Clients that go away: thousands of uploads and downloads are cut off at random points.

Whatever goes wrong on the way of a request, nothing of it stays: no file, no row, no descriptor, no
memory; and nothing that was there before is touched.
"""

import asyncio
import hashlib
import random
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import Config
from endpoint import Authority
from raw_http import request_bytes
from server_process import FIRST, PATIENCE, ServerProcess
from sigv4_by_hand import Signer

KIB, MIB = 1024, 1024 * 1024
BUCKET = "kept"
WARM_UP = 200
CUT_OFFS = 2000
CUT_OFFS_OF_TLS = 500
AT_ONCE = 16
GROWTH = 16 * MIB
"""Bytes that a process may have more after one of the rounds than before it."""
ROUNDS = 4
"""At most. Allocators keep what was the most at once, and how much comes together is for the machine's load
to say: the first round may raise it, and the next as well. What leaks makes every round grow."""
SIZES = {"empty": 0, "inline": 20 * KIB, "one-piece": 300 * KIB, "large": 5 * MIB, "overwritten": 2 * MIB}
SIGNER = Signer(FIRST.access_key, FIRST.secret_key)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.issue(tmp_path)


@pytest.fixture(params=["1 worker", "2 workers", "tls"])
def server(request: pytest.FixtureRequest, tmp_path: Path, authority: Authority) -> Iterator[ServerProcess]:
    settings: dict[str, dict[str, object]] = {"upkeep": {"interval": 1}}
    if request.param == "tls":
        tls = {"certificate": str(authority.certificate), "key": str(authority.key)}
        settings["server"] = {"tls": tls}
    workers = 2 if request.param == "2 workers" else 1
    server = ServerProcess(tmp_path / "server", workers=workers, settings=settings)
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()
    assert "Traceback" not in server.log.read_text()


def body_of(name: str, size: int) -> bytes:
    """The same bytes for the same name, each time."""
    return random.Random(name).randbytes(size)


class Watch:
    """What a server holds, looked at from outside."""

    def __init__(self, server: ServerProcess) -> None:
        self._data = server.directory / "data"
        assert server.process is not None
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._pids = [pid, *map(int, children)]

    def blobs(self) -> set[str]:
        """The names of all blobs, finished or not."""
        roots = (self._data / "objects" / "blobs", self._data / "objects" / "tmp")
        return {path.name for root in roots for path in root.rglob("*") if path.is_file()}

    def journal(self) -> list[str]:
        """The names of the blobs that are noted as in flight."""
        files = (self._data / "objects" / "journal").iterdir()
        return [name for file in files for name in file.read_text().split()]

    def open(self) -> Counter[str]:
        """How many descriptors lead to what: a file of the data directory, or a kind."""
        found: Counter[str] = Counter()
        for pid in self._pids:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    target = str(link.readlink())
                except FileNotFoundError:
                    continue
                found[target.partition(":")[0]] += 1
        return found

    def memory(self) -> int:
        """Resident bytes, those that files are mapped to aside."""
        anonymous = 0
        for pid in self._pids:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    anonymous += int(line.split()[1]) * KIB
        return anonymous


def wait_until(condition: Callable[[], bool], what: str) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(what)


class Clients:
    """Clients that do not do what they began."""

    def __init__(self, server: ServerProcess, s3: Any, ca: Path) -> None:
        self.port = server.port
        self.host = f"127.0.0.1:{server.port}"
        self.dice = random.Random(server.workers)
        self.upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        self.form = s3.generate_presigned_post(BUCKET, "one-piece")["fields"]
        self.read = 0
        """Bytes of downloads."""
        self.tls = None
        if server.url.startswith("https"):
            self.tls = ssl.create_default_context(cafile=str(ca))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=64 * KIB, ssl=self.tls)

    async def _cut(self, writer: asyncio.StreamWriter) -> None:
        if self.dice.random() < 0.5:  # a reset instead of a goodbye
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        writer.close()
        with suppress(OSError):  # what a peer says to it does not matter
            await writer.wait_closed()

    # --- uploads ----------------------------------------------------------------------------------------

    def _request(self) -> bytes:
        """A whole upload: over an object or new, of any size, in any of the ways to send one."""
        size = int(2 ** self.dice.uniform(0, 21))
        key = self.dice.choice([*SIZES, f"new/{self.dice.random()}"])
        body = self.dice.randbytes(size)
        target, headers = f"/{BUCKET}/{key}", {"Host": self.host, "Content-Length": str(size)}
        way = self.dice.choice(["put", "part", "chunks", "form"])
        if way == "put":
            return request_bytes("PUT", SIGNER.presign("PUT", self.host, target), headers, body)
        if way == "part":
            part = f"/{BUCKET}/parts?partNumber={self.dice.randint(2, 9)}&uploadId={self.upload}"
            return request_bytes("PUT", SIGNER.presign("PUT", self.host, part), headers, body)
        if way == "chunks":
            given = {"Host": self.host, "x-amz-decoded-content-length": str(size)}
            signed = SIGNER.sign("PUT", target, given, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
            pieces = [body[at : at + 64 * KIB] for at in range(0, size, 64 * KIB)]
            framed, _ = signed.chunks(pieces)
            return request_bytes(
                "PUT", target, {**signed.headers, "Content-Length": str(len(framed))}, framed
            )
        lead = '--b\r\nContent-Disposition: form-data; name="'
        fields = "".join(f'{lead}{name}"\r\n\r\n{value}\r\n' for name, value in self.form.items())
        content = f'{fields}{lead}file"; filename="f"\r\n\r\n'.encode() + body + b"\r\n--b--\r\n"
        headers = {"Host": self.host, "Content-Type": "multipart/form-data; boundary=b"}
        return request_bytes("POST", f"/{BUCKET}", {**headers, "Content-Length": str(len(content))}, content)

    async def cut_upload(self) -> None:
        """Send a part of a request, never all of it."""
        whole = self._request()
        head = whole.index(b"\r\n\r\n") + 4
        # Most are cut in the body, some before it, some just before the end.
        cut = self.dice.choice(
            [self.dice.randrange(head, len(whole))] * 8 + [self.dice.randrange(head), len(whole) - 1]
        )
        _, writer = await self._connect()
        for at in range(0, cut, 256 * KIB):
            writer.write(whole[at : min(cut, at + 256 * KIB)])
            await writer.drain()
        if self.dice.random() < 0.3:  # the server has begun to work on it
            await asyncio.sleep(self.dice.uniform(0, 0.02))
        await self._cut(writer)

    # --- downloads --------------------------------------------------------------------------------------

    async def cut_download(self) -> None:
        """Ask for an object or a range of it, and read a part of the reply or nothing."""
        key = self.dice.choice(["inline", "one-piece", "large", "large", "overwritten", "overwritten"])
        size = SIZES[key]
        headers = {"Host": self.host}
        if self.dice.random() < 0.3:
            first = self.dice.randrange(size // 2)
            headers["Range"] = f"bytes={first}-"
            size -= first
        target = SIGNER.presign("GET", self.host, f"/{BUCKET}/{key}")
        reader, writer = await self._connect()
        writer.write(request_bytes("GET", target, headers))
        left = self.dice.choice([0, self.dice.randrange(1000), self.dice.randrange(size)])
        while left > 0 and (piece := await reader.read(min(left, 64 * KIB))):
            left -= len(piece)
            self.read += len(piece)
        await self._cut(writer)

    async def many(self, count: int, act: Callable[[], Awaitable[None]]) -> None:
        """Do it so often, some at a time."""
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                await act()

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())


@pytest.mark.timeout(600)
def test_thousands_of_cut_off_transfers_leave_nothing_behind(
    server: ServerProcess, authority: Authority
) -> None:
    s3 = boto3.session.Session().client(
        "s3",
        endpoint_url=server.url,
        verify=str(authority.ca),
        region_name=server.region,
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    s3.create_bucket(Bucket=BUCKET)
    kept = {key: body_of(key, size) for key, size in SIZES.items()}
    for key, body in kept.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    clients = Clients(server, s3, authority.ca)
    part = {"Bucket": BUCKET, "Key": "parts", "UploadId": clients.upload}
    etag = s3.upload_part(**part, PartNumber=1, Body=body_of("part", MIB))["ETag"]
    watch = Watch(server)
    blobs = watch.blobs()

    async def overwrite(ended: asyncio.Event) -> None:
        """While others read it: what they read goes when they have gone."""
        while not ended.is_set():
            body = kept["overwritten"]
            await asyncio.to_thread(s3.put_object, Bucket=BUCKET, Key="overwritten", Body=body)

    async def rounds(count: int) -> None:
        await clients.many(count, clients.cut_upload)
        ended = asyncio.Event()
        overwriting = asyncio.create_task(overwrite(ended))
        await clients.many(count, clients.cut_download)
        ended.set()
        await overwriting

    def nothing_is_left() -> bool:
        return len(watch.blobs()) == len(blobs) and not watch.journal()

    asyncio.run(rounds(WARM_UP))
    wait_until(nothing_is_left, "the warm-up left something")
    opened, growths = watch.open(), []
    for _ in range(ROUNDS):
        memory = watch.memory()
        asyncio.run(rounds(CUT_OFFS if clients.tls is None else CUT_OFFS_OF_TLS))
        wait_until(nothing_is_left, f"blobs {watch.blobs() - blobs}, in flight {watch.journal()}")
        wait_until(lambda: watch.open() == opened, f"open: {watch.open() - opened}")
        growths.append(watch.memory() - memory)
        if growths[-1] < GROWTH * server.workers:
            break
    else:
        pytest.fail(f"each round takes more: {[f'{growth / MIB:.1f} MiB' for growth in growths]}")
    assert clients.read > 50 * MIB

    # --- and what was there is as it was ------------------------------------------------------------
    listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in listed} == SIZES
    for key, body in kept.items():
        found = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert hashlib.sha256(found).digest() == hashlib.sha256(body).digest(), key
    assert [(one["PartNumber"], one["ETag"]) for one in s3.list_parts(**part)["Parts"]] == [(1, etag)]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**part, MultipartUpload=parts)
    assert s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read() == body_of("part", MIB)
