"""Disks that are full, read-only, broken or gone, and too many open files: clear errors, nothing lost,
and all is well again afterwards.
"""

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blob_files import check_whole, swept
from crash_rounds import wait_until
from disk_faults import DiskFaults
from s3_client import Answer, S3Client
from store_model import Model, object_of, survey
from warm_server import Warm, WarmServer

KIB, MIB = 1024, 1024 * 1024
SETTINGS = {"upkeep": {"interval": 1}}
LARGE, SMALL = 300 * KIB, 3000
FULL = (507, "InsufficientStorage")
FAILED = (500, "InternalError")
BUSY = (503, "SlowDown")


class Store:
    """A server, a connection to it, and what it has acknowledged."""

    def __init__(self, server: WarmServer) -> None:
        self.server = server
        self.data = server.directory / "data"
        self.model = Model()
        self.client = S3Client(server.start().port)
        assert self.client.ask("PUT", "/kept").status == 200
        for name, size in (("large", LARGE), ("small", SMALL)):
            assert self.put(name, size).status == 200

    def put(self, key: str, size: int) -> Answer:
        """Put an object; whatever is refused with an error has not happened, or is not known to have."""
        body = random.Random(key).randbytes(size)
        write = self.model.ask({("object", key): object_of(body, "")})
        answer = self.client.ask("PUT", f"/kept/{key}", body)
        if answer.status == 200:
            self.model.acknowledge(write, answer)
        elif answer.status in (507, 503):
            self.model.refuse(write)
        return answer

    def delete(self, key: str) -> Answer:
        """Delete an object."""
        write = self.model.ask({("object", key): None})
        answer = self.client.ask("DELETE", f"/kept/{key}")
        if answer.status == 204:
            self.model.acknowledge(write, answer)
        else:
            self.model.refuse(write)
        return answer

    def get(self, key: str) -> Answer:
        """Read an object."""
        return self.client.ask("GET", f"/kept/{key}")

    def check(self) -> None:
        """All that was acknowledged is there and whole, and nothing else."""
        found = survey(self.client)
        self.model.check(found)
        wait_until(lambda: swept(self.data))
        check_whole(self.data)
        self.model.settle(found)

    def restart(self) -> None:
        """Stop in order, and start."""
        self.client.close()
        assert self.server.stop() == 0
        self.client = S3Client(self.server.start().port)

    def end(self) -> None:
        """All is well: things can be written, are still there after a kill, and nothing is left over."""
        for name, size in (("large", LARGE), ("small", SMALL), ("new-large", LARGE), ("new-small", SMALL)):
            assert self.put(name, size).status == 200
        self.check()
        self.client.close()
        self.server.kill()
        self.client = S3Client(self.server.start().port)
        self.check()
        self.client.close()
        assert self.server.stop() == 0


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> DiskFaults:
    folder = tmp_path_factory.mktemp("faults")
    return DiskFaults(folder, folder)


@pytest.fixture(scope="module")
def warm(faults: DiskFaults) -> Iterator[Warm]:
    warm = Warm(faults.environment)
    yield warm
    warm.close()


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def store(
    request: pytest.FixtureRequest, warm: Warm, tmp_path_factory: pytest.TempPathFactory, faults: DiskFaults
) -> Iterator[Store]:
    folder = faults.root / request.node.name.replace("/", "-")
    server = WarmServer(warm, folder, workers=request.param, settings=SETTINGS)
    try:
        store = Store(server)
        yield store
        store.client.close()
    finally:
        server.kill()


# --- no room --------------------------------------------------------------------------------------------


def test_a_full_disk_is_answered_507_and_keeps_the_connection(store: Store, faults: DiskFaults) -> None:
    address = store.client.address
    with faults.failing(writes=errno.ENOSPC, makes=errno.ENOSPC):
        for key in ("large", "small", "new"):
            assert refusal(store.put(key, LARGE)) == FULL
            assert refusal(store.put(key, SMALL)) == FULL
        assert refusal(store.delete("large")) == FULL
        assert refusal(store.client.ask("POST", "/kept/large?uploads")) == FULL
        assert (store.get("large").status, store.get("small").status) == (200, 200)
    assert store.client.address == address
    store.end()


def filled(directory: Path, workers: int) -> None:
    """Fill a file system of 24 MiB, in which there is a file that goes to make room."""
    disk = directory / "data"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
    warm = Warm()
    server = WarmServer(warm, directory, workers=workers, settings=SETTINGS)
    try:
        store = Store(server)
        filler = disk / "filler"
        filler.write_bytes(bytes(8 * MIB))
        address = store.client.address
        for size in (MIB, 100 * KIB, 33 * KIB, 30 * KIB, 3 * KIB, 1):
            assert refusal(fill(store, size)) == FULL
        assert refusal(store.delete("large")) == FULL
        assert store.client.address == address
        store.model.check(survey(store.client))
        store.client.close()
        server.kill()
        with pytest.raises(RuntimeError, match=r"ended with 2:[^$]*No space left on device"):
            server.start()
        server.process = None
        filler.unlink()
        store.client = S3Client(server.start().port)
        store.end()
    finally:
        server.kill()
        warm.close()
        subprocess.run(["umount", disk], check=True)


def can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


if can_mount():  # for whom cannot, the test above has to do

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_real_disk_is_filled_to_its_last_byte(workers: int, tmp_path: Path) -> None:
        filled(tmp_path / "server", workers)


def fill(store: Store, size: int) -> Answer:
    """Put objects until one is refused."""
    for n in range(10_000):
        answer = store.put(f"fill/{size}/{n}", size)
        if answer.status != 200:
            return answer
    raise AssertionError("there is no end to the room")


# --- no way to write ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO])
def test_a_folder_that_takes_no_files_spoils_large_objects_only(
    number: int, store: Store, faults: DiskFaults
) -> None:
    with faults.failing(makes=number):
        assert refusal(store.put("large", LARGE + 1)) == FAILED
        assert store.put("small", SMALL + 1).status == 200
        assert (store.get("large").status, store.get("small").status) == (200, 200)
    store.end()


def test_a_blob_that_cannot_be_synced_is_not_acknowledged(store: Store, faults: DiskFaults) -> None:
    with faults.failing(syncs=errno.EIO):
        assert refusal(store.put("large", LARGE + 1)) == FAILED
    assert store.get("large").body == random.Random("large").randbytes(LARGE)
    store.end()


@pytest.mark.parametrize("fault", [{"writes": errno.EROFS}, {"syncs": errno.EIO}], ids=["write", "sync"])
def test_a_commit_that_fails_makes_metadata_read_only_until_the_next_start(
    fault: dict[str, int], store: Store, faults: DiskFaults
) -> None:
    """Nobody knows what a power cut would leave."""
    with faults.failing(**fault):
        assert refusal(store.put("small", SMALL + 1)) == FAILED
    for size in (SMALL, LARGE):
        assert refusal(store.put("other", size)) == FAILED
    assert (store.get("large").status, store.get("small").status) == (200, 200)
    store.restart()
    store.end()


# --- no folder ------------------------------------------------------------------------------------------


def test_blobs_that_went_away_come_back(store: Store) -> None:
    objects = store.data / "objects"
    away = objects.rename(objects.with_name("away"))
    assert refusal(store.put("large", LARGE + 1)) == FAILED
    assert refusal(store.get("large")) == FAILED
    assert store.put("small", SMALL + 1).status == 200
    assert store.get("small").status == 200
    away.rename(objects)
    store.end()


def test_nothing_is_acknowledged_by_a_server_whose_folder_went_away(store: Store) -> None:
    away = store.data.rename(store.data.with_name("away"))
    assert refusal(store.put("large", LARGE + 1)) == FAILED
    assert refusal(store.put("small", SMALL + 1)) == BUSY
    assert refusal(store.delete("small")) == BUSY
    away.rename(store.data)
    store.end()


# --- no descriptors -------------------------------------------------------------------------------------


def test_too_many_open_files_pass(tmp_path: Path) -> None:
    warm = Warm(prelude="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))")
    server = WarmServer(warm, tmp_path / "server", settings=SETTINGS)
    try:
        store = Store(server)
        idle = [S3Client(server.port) for _ in range(100)]
        for client in idle:
            client.connect()
        assert server.process is not None
        descriptors = Path(f"/proc/{server.process.pid}/fd")
        wait_until(lambda: len(list(descriptors.iterdir())) >= 79)
        assert refusal(store.put("large", LARGE + 1)) == BUSY
        assert refusal(store.get("large")) == BUSY
        assert store.put("small", SMALL + 1).status == 200
        for client in idle:
            client.close()
        wait_until(lambda: store.get("large").status == 200)
        store.end()
    finally:
        server.kill()
        warm.close()
