"""``bleepstore scrub`` over what a server stored: all that is wrong is found, and nothing is lost."""

import asyncio
import json
import random
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from bleepstore.app import create_app
from bleepstore.commands import CommitObject, Content
from bleepstore.metadata import Attributes
from bleepstore.settings import MetadataSettings, Settings
from bleepstore.sqlite.plugin import SqliteSettings
from bleepstore.upkeep.rounds import remove_garbage
from bleepstore.upkeep.scrub import Finding, Scrub
from bleepstore_backend_local.plugin import LocalSettings
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError
from server_process import FIRST, ServerProcess, command, environment

KIB, MIB = 1024, 1024 * 1024
BUCKET = "kept"
CONFIG = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=30)


def body_of(key: str, size: int) -> bytes:
    return random.Random(key).randbytes(size)


@dataclass
class Store:
    """A server, its data directory, and the command."""

    server: ServerProcess

    @property
    def data(self) -> Path:
        return self.server.directory / "data"

    @property
    def objects(self) -> Path:
        return self.data / "objects"

    @property
    def s3(self) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.server.url,
            region_name=self.server.region,
            aws_access_key_id=FIRST.access_key,
            aws_secret_access_key=FIRST.secret_key,
            config=CONFIG,
        )

    def blobs(self) -> list[Path]:
        return sorted((self.objects / "blobs").glob("??/*"))

    def blob_of(self, key: str) -> Path:
        """The file of an object that is one blob."""
        database = sqlite3.connect(self.data / "metadata.db")
        (name,) = database.execute("SELECT blob FROM current WHERE key = ?", (key.encode(),)).fetchone()
        database.close()
        return self.objects / "blobs" / name[-2:] / name

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        line = [*command(), "scrub", str(self.data), *options]
        return subprocess.run(
            line, capture_output=True, text=True, env=environment(), cwd=self.server.directory
        )

    def scrub(self, *options: str) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
        """Exit code, findings, summary."""
        done = self.run("--json", *options)
        assert done.stderr == ""
        *findings, summary = map(json.loads, done.stdout.splitlines())
        assert summary.pop("kind") == "summary"
        return done.returncode, findings, summary


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with objects of every kind, whose server has been stopped."""
    server = ServerProcess(tmp_path / "server", settings={"upkeep": {"interval": 3600}})
    store = Store(server)
    try:
        server.start()
        s3 = store.s3
        s3.create_bucket(Bucket=BUCKET)
        for key, size in {"inline": 5 * KIB, "one": 100 * KIB, "large": 3 * MIB + 7, "empty": 0}.items():
            s3.put_object(Bucket=BUCKET, Key=key, Body=body_of(key, size))
        s3.copy_object(Bucket=BUCKET, Key="copy\nof one", CopySource=f"{BUCKET}/one")
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        parts = []
        for number in (1, 2):
            part = s3.upload_part(
                Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=body_of("parts", 5 * MIB)
            )
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        s3.complete_multipart_upload(
            Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert server.stop() == 0
        yield store
        server.stop()
    finally:
        server.kill()


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 0x40]))


def read(s3: Any, key: str, **options: str) -> bytes | None:
    """The body, or ``None`` where it ends in an error of the server or of the connection."""
    try:
        return bytes(s3.get_object(Bucket=BUCKET, Key=key, **options)["Body"].read())
    except ClientError as error:
        return None if error.response["ResponseMetadata"]["HTTPStatusCode"] == 500 else b"another error"
    except BotoCoreError:
        return None  # cut: the status line was out when the damage was found


def test_store_in_order_is_clean(store: Store) -> None:
    before = store.blobs()
    code, findings, summary = store.scrub("--quarantine", "--trash")
    assert (code, findings) == (0, [])
    assert summary == {
        "blobs": 4,
        "blob_bytes": 100 * KIB + 3 * MIB + 7 + 10 * MIB,
        "inline": 1,
        "inline_bytes": 5 * KIB,
        **dict.fromkeys(("damaged", "missing", "unreadable", "stranger"), 0),
    }
    assert store.blobs() == before
    done = store.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"scrubbed 4 blobs \(13\.1 MiB\) and 1 inline objects \(0\.0 MiB\): clean\n", done.stdout
    )


@pytest.mark.parametrize("harm", ["first byte", "last byte", "trailer", "cut", "emptied", "grown"])
def test_damaged_blob_is_found_and_told_with_its_objects(store: Store, harm: str) -> None:
    blob = store.blob_of("one")
    size = blob.stat().st_size
    harms: dict[str, Callable[[], object]] = {
        "first byte": lambda: flip(blob, 0),
        "last byte": lambda: flip(blob, 100 * KIB - 1),
        "trailer": lambda: flip(blob, size - 3),
        "cut": lambda: blob.write_bytes(blob.read_bytes()[:-1]),
        "emptied": lambda: blob.write_bytes(b""),
        "grown": lambda: blob.write_bytes(blob.read_bytes() + b"x"),
    }
    harms[harm]()
    code, findings, summary = store.scrub()
    assert (code, len(findings), summary["damaged"]) == (1, 1, 1)
    assert (findings[0]["kind"], findings[0]["blob"], findings[0]["moved"]) == ("damaged", blob.name, None)
    held = [(holder["bucket"], holder["key"]) for holder in findings[0]["holders"]]
    assert held == [(BUCKET, "copy\nof one"), (BUCKET, "one")]
    assert blob.exists()
    line = store.run().stdout.splitlines()[0]
    assert line.startswith(f"damaged {blob.name} of {BUCKET}/copy\\nof one, {BUCKET}/one: ")


def test_quarantined_blob_is_kept_and_its_object_is_an_error_until_it_comes_back(store: Store) -> None:
    """Never wrong bytes: before, after, and of a part that was whole."""
    blob = store.blob_of("large")
    whole = blob.read_bytes()
    flip(blob, 2 * MIB)
    store.server.start()
    assert read(store.s3, "large") is None
    assert read(store.s3, "large", Range=f"bytes={2 * MIB - 5}-{2 * MIB + 5}") is None
    assert read(store.s3, "large", Range="bytes=0-9") == body_of("large", 3 * MIB + 7)[:10]
    store.server.stop()
    code, (finding,), _ = store.scrub("--quarantine")
    assert (code, finding["moved"]) == (1, f"quarantine/{blob.name}")
    moved = store.objects / finding["moved"]
    assert (moved.stat().st_size, blob.exists()) == (len(whole), False)
    store.server.start()
    for options in ({}, {"Range": "bytes=0-9"}):
        assert read(store.s3, "large", **options) is None
    assert store.s3.head_object(Bucket=BUCKET, Key="large")["ContentLength"] == 3 * MIB + 7
    assert read(store.s3, "one") == body_of("one", 100 * KIB)
    store.server.stop()
    code, (finding,), _ = store.scrub("--quarantine")
    assert (code, finding["kind"], finding["blob"]) == (1, "missing", blob.name)
    blob.write_bytes(whole)
    assert store.scrub()[:2] == (0, [])
    assert moved.exists()


def test_missing_blob_is_told_with_the_object_it_is_a_part_of(store: Store) -> None:
    others = {store.blob_of("one"), store.blob_of("large")}
    part = next(blob for blob in store.blobs() if blob not in others)
    part.unlink()
    for options in ([], ["--quick"]):
        code, (finding,), summary = store.scrub(*options)
        assert (code, finding["kind"], finding["blob"]) == (1, "missing", part.name)
        assert [holder["key"] for holder in finding["holders"]] == ["parts"]
        assert summary["missing"] == 1


@pytest.mark.parametrize("change", ["UPDATE inline SET data = zeroblob(length(data))", "DELETE FROM inline"])
def test_damaged_inline_object_is_found_and_never_read(store: Store, change: str) -> None:
    database = sqlite3.connect(store.data / "metadata.db")
    database.execute(change)
    database.commit()
    database.close()
    code, (finding,), _ = store.scrub()
    assert (code, finding["kind"]) == (1, "damaged")
    assert [holder["key"] for holder in finding["holders"]] == ["inline"]
    store.server.start()
    assert read(store.s3, "inline") is None
    assert read(store.s3, "inline", Range="bytes=0-9") is None


def test_stranger_goes_to_the_trash_and_comes_back(store: Store) -> None:
    """Moved when asked and only then; what was not asked for stays readable, and so does the rest."""
    stranger = store.objects / "blobs" / "ab" / ("0" * 30 + "ab")
    stranger.write_bytes(b"of no row")
    unfinished = store.objects / "tmp" / ("0" * 30 + "cd")
    unfinished.write_bytes(b"half")
    code, findings, _ = store.scrub()
    assert code == 1
    assert {(one["kind"], one["blob"]) for one in findings} == {
        ("stranger", stranger.name),
        ("stranger", unfinished.name),
    }
    assert stranger.exists()
    assert unfinished.exists()
    assert store.scrub("--trash")[0] == 1
    trash = store.objects / "trash"
    assert {path.name: path.read_bytes() for path in trash.iterdir()} == {
        stranger.name: b"of no row",
        unfinished.name: b"half",
    }
    assert store.scrub()[:2] == (0, [])
    (trash / stranger.name).rename(stranger)
    assert [one["blob"] for one in store.scrub()[1]] == [stranger.name]


def test_blobs_of_rows_that_were_lost_come_back_with_them(store: Store) -> None:
    """An older copy of the metadata makes strangers of newer blobs; nothing of them is lost."""
    database = store.data / "metadata.db"
    older = database.read_bytes()
    store.server.start()
    store.s3.put_object(Bucket=BUCKET, Key="newer", Body=body_of("newer", MIB))
    store.server.stop()
    newer, blob = database.read_bytes(), store.blob_of("newer")
    database.write_bytes(older)
    _, (finding,), _ = store.scrub("--trash")
    assert (finding["blob"], finding["moved"]) == (blob.name, f"trash/{blob.name}")
    database.write_bytes(newer)
    assert [one["kind"] for one in store.scrub()[1]] == ["missing"]
    (store.objects / finding["moved"]).rename(blob)
    assert store.scrub()[:2] == (0, [])
    store.server.start()
    assert read(store.s3, "newer") == body_of("newer", MIB)


def test_what_a_killed_server_left_is_no_stranger(store: Store) -> None:
    """Upkeep removes it: its name is in the journal of the dead."""
    store.server.start()
    store.server.kill()
    name = "0" * 30 + "ab"
    (store.objects / "journal" / "99999-dead").write_text(f"{name}\n")
    (store.objects / "tmp" / name).write_bytes(b"half")
    assert store.scrub("--trash")[:2] == (0, [])
    assert (store.objects / "tmp" / name).exists()


def test_store_in_use_is_left_alone(store: Store) -> None:
    store.server.start()
    done = store.run("--quarantine", "--trash")
    assert done.returncode == 2
    assert re.fullmatch(
        r"bleepstore: .* is already in use by another BleepStore server \(pid \d+\)\n", done.stderr
    )
    assert read(store.s3, "one") == body_of("one", 100 * KIB)


def test_what_is_no_store_is_not_made_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    for place in (tmp_path / "nowhere", tmp_path):
        line = [*command(), "scrub", str(place)]
        done = subprocess.run(line, capture_output=True, text=True, env=environment(), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"bleepstore: {place}/metadata.db: there is no store\n"
    assert not (tmp_path / "nowhere").exists()
    assert list((tmp_path / "objects").iterdir()) == []


def test_damaged_metadata_is_one_line_and_code_2(store: Store) -> None:
    database = sqlite3.connect(store.data / "metadata.db")
    query = "SELECT rootpage FROM sqlite_master WHERE name = 'current'"
    (page,) = database.execute(query).fetchone()
    (size,) = database.execute("PRAGMA page_size").fetchone()
    database.close()
    with (store.data / "metadata.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    done = store.run("--trash", "--quarantine")
    assert done.returncode == 2
    assert re.fullmatch(r"bleepstore: the metadata cannot be read: .*malformed.*\n", done.stderr)
    assert not (store.objects / "trash").exists()


def test_running_server_scrubs_by_itself_where_it_is_told_to(store: Store) -> None:
    """And only tells: the log names the object, and every file is where it was."""
    slice_ms = 86_400_000 / 256
    now = time.time() * 1000
    # The slice that is due now, or the next where that begins before the server has started.
    ending = f"{int(now // slice_ms + (now % slice_ms > slice_ms - 30_000)) % 256:02x}"
    old = store.blob_of("large")
    database = sqlite3.connect(store.data / "metadata.db")
    database.execute(
        "UPDATE current SET blob = ? WHERE key = CAST('large' AS BLOB)", (old.name[:-2] + ending,)
    )
    database.commit()
    database.close()
    blob = old.rename(store.blob_of("large"))
    flip(blob, 17)
    stranger = blob.with_name("0" * 30 + ending)
    stranger.write_bytes(b"of no row")
    store.server.settings = {"upkeep": {"scrub_days": 1, "interval": 3600}}
    store.server.start()
    end, lines = time.monotonic() + 60, [""]
    while not any(f"stranger {stranger.name}" in line for line in lines):
        assert time.monotonic() < end, lines
        time.sleep(0.05)
        lines = store.server.log.read_text().splitlines()
    (damaged,) = (line for line in lines if "damaged" in line)
    assert f"ERROR bleepstore.scrub: damaged {blob.name} of {BUCKET}/large: block 0" in damaged
    assert blob.exists()
    assert stranger.exists()
    assert read(store.s3, "one") == body_of("one", 100 * KIB)
    assert read(store.s3, "large") is None


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_nothing_of_a_busy_server_is_ever_judged(tmp_path: Path) -> None:
    """Writes begin, fail, commit, are overwritten and removed while every look is taken, many times over."""
    sections = {
        "metadata.sqlite": SqliteSettings(path=tmp_path / "metadata.db"),
        "storage.local": LocalSettings(root_dir=tmp_path / "objects"),
    }
    settings = Settings(buckets=(BUCKET,), metadata=MetadataSettings(durability="relaxed"), sections=sections)
    app = create_app(settings)
    await app.start()
    services, chance = app.services, random.Random(1)
    bucket = await services.metadata.bucket(BUCKET)
    assert bucket is not None
    ended = asyncio.Event()
    counts = {"commit": 0, "discard": 0, "scrub": 0}

    async def write() -> None:
        while not ended.is_set():
            staged = await services.storage.stage(services.new_id())
            await staged.write(b"x" * chance.randrange(1, 200_000))
            blob = await staged.publish()
            if chance.random() < 0.3:
                await staged.discard()
                counts["discard"] += 1
                continue
            values = {"id": services.new_id(), "at": services.clock(), "bucket": bucket.id, "owner": "o"}
            content = Content(size=blob.size, blob=blob.name)
            key = str(chance.randrange(20))
            command = CommitObject(**values, key=key, content=content, etag="e", attributes=Attributes())
            await services.metadata.apply(command)
            await staged.settle()
            counts["commit"] += 1

    async def remove() -> None:
        while not ended.is_set():
            await remove_garbage(services)
            await asyncio.sleep(0)

    async def scrub() -> list[Finding]:
        found: list[Finding] = []
        while counts["commit"] < 600 or counts["scrub"] < 20:
            await Scrub(services, found.append, quarantine=True, trash=True).run()
            counts["scrub"] += 1
        ended.set()
        return found

    workers = [asyncio.create_task(work()) for work in (*[write] * 6, remove)]
    assert await scrub() == []
    await asyncio.gather(*workers)
    assert counts["discard"] > 50
    await remove_garbage(services)
    left: list[Finding] = []
    await Scrub(services, left.append).run()
    assert left == []
    await app.stop()
    assert len(list((tmp_path / "objects" / "blobs").glob("??/*"))) == 20
