"""Writing: durable in the right order, and nothing is left of what fails or is cut off."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bleepstore.storage import BackendFailed, Blob, BlobMissing, OutOfSpace, Unavailable
from bleepstore.testing.storage import MIB, STORE, open_files, random_bytes
from bleepstore_backend_local import staging
from bleepstore_backend_local.backend import WRITERS, LocalBackend
from bleepstore_backend_local.format import trailer_size

pytestmark = pytest.mark.anyio
NAME = "0" * 31 + "a"


def failing(number: int, after: int = 0) -> Callable[..., Any]:
    """A function of the operating system that fails with ``number`` after so many calls."""
    calls = iter(range(after))

    def fail(file: int, data: Any = b"", *_: Any) -> int:
        if next(calls, None) is None:
            raise OSError(number, os.strerror(number))
        return os.pwrite(file, data, os.fstat(file).st_size)

    return fail


class Gate:
    """Makes an operation wait in its thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        work = getattr(owner, name)

        def gated(*args: Any, **kwargs: Any) -> Any:
            self.reached.set()
            assert self.opened.wait(30)
            return work(*args, **kwargs)

        monkeypatch.setattr(owner, name, gated)

    async def wait(self) -> None:
        """Until somebody stands before the gate."""
        assert await asyncio.to_thread(self.reached.wait, 30)


@pytest.fixture
def gate(monkeypatch) -> Iterator[Callable[..., Gate]]:
    gates = []

    def make(owner: Any, name: str) -> Gate:
        gates.append(Gate(monkeypatch, owner, name))
        return gates[-1]

    yield make
    for one in gates:
        one.opened.set()


async def test_file_is_synced_then_renamed_then_its_folder_is_synced(root, storage, monkeypatch):
    calls = []

    def noted(name: str) -> None:
        work = getattr(os, name)

        def note(*args: Any) -> Any:
            now = Path(f"/proc/self/fd/{args[0]}").readlink() if isinstance(args[0], int) else Path(args[0])
            then = now if isinstance(args[0], int) else Path(args[1])
            calls.append((name, str(then.relative_to(root)), now.stat().st_size))
            return work(*args)

        monkeypatch.setattr(os, name, note)

    for name in ("fdatasync", "rename", "fsync"):
        noted(name)
    staged = await storage.stage(NAME)
    await staged.write(b"x" * 1000)
    await staged.publish()
    await staged.settle()
    whole = 1000 + trailer_size(1000)
    assert calls[:2] == [("fdatasync", f"tmp/{NAME}", whole), ("rename", f"blobs/0a/{NAME}", whole)]
    assert [call[:2] for call in calls[2:]] == [("fsync", "blobs/0a")]


async def test_relaxed_durability_syncs_nothing(root, monkeypatch):
    for name in ("fdatasync", "fsync"):
        monkeypatch.setattr(os, name, failing(errno.EIO))
    storage = LocalBackend(root, durable=False)
    await storage.start(STORE, fresh=True)
    staged = await storage.stage(NAME)
    await staged.publish()
    await storage.stop()


async def test_name_is_in_the_journal_before_there_is_a_file(storage, in_flight, monkeypatch):
    found = []
    make = os.open

    def note(path: Any, *rest: Any, **more: Any) -> int:
        if Path(path).name == NAME:
            found.append(in_flight())
        return make(path, *rest, **more)

    monkeypatch.setattr(os, "open", note)
    staged = await storage.stage(NAME)
    await staged.write(b"x")
    await staged.publish()
    assert found == [[NAME]]
    assert in_flight() == [NAME]
    await staged.settle()
    await storage.stop()
    assert in_flight() == []


async def test_what_the_kernel_takes_in_small_bites_is_whole(storage, read, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: max(1, len(data) // 2)]))
    staged = await storage.stage(NAME)
    await staged.write(random_bytes(200_000))
    blob = await staged.publish()
    assert await read(blob) == random_bytes(200_000)


# --- what fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 2], ids=["first piece", "second piece", "trailer"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
async def test_full_disk_is_out_of_space_and_leaves_nothing(
    storage, read, files, in_flight, monkeypatch, after, number
):
    before = open_files()
    monkeypatch.setattr(os, "write", failing(number, after))
    staged = await storage.stage(NAME)

    async def body() -> None:
        await staged.write(b"x" * 1000)
        await staged.write(b"x" * 1000)
        await staged.publish()

    with pytest.raises(OutOfSpace):
        await body()
    await staged.discard()
    assert (files(), in_flight()) == ([], [])
    assert open_files() == before
    monkeypatch.undo()
    staged = await storage.stage(NAME)
    await staged.write(b"there is room again")
    assert await read(await staged.publish()) == b"there is room again"


async def test_write_that_failed_cannot_be_published(storage, files, monkeypatch):
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    staged = await storage.stage(NAME)
    await staged.write(b"lost")
    with pytest.raises(OutOfSpace):
        await staged.write(b"more")
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(OutOfSpace):
            await staged.write(b"more")
        with pytest.raises(OutOfSpace):
            await staged.publish()
    await staged.discard()
    assert files() == []


_LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from bleepstore.storage import OutOfSpace
from bleepstore_backend_local.backend import LocalBackend

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
    storage = LocalBackend(Path(sys.argv[1]))
    await storage.start(sys.argv[2], fresh=True)
    staged = await storage.stage("0" * 32)
    try:
        for _ in range(3):
            await staged.write(b"x" * 1_000_000)
        await staged.publish()
    except OutOfSpace as fault:
        print(fault)
    await staged.discard()
    small = await storage.stage("1" * 32)
    await small.write(b"x" * 1_000_000)
    await small.publish()
    await small.settle()
    await storage.stop()

asyncio.run(main())
"""


async def test_file_that_the_system_refuses_to_extend_is_out_of_space(root, files):
    run = subprocess.run([sys.executable, "-c", _LIMITED, root, STORE], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == (f"{'0' * 32}: File too large\n", "")
    assert files() == ["1" * 32]


@pytest.mark.parametrize("sync", ["fdatasync", "fsync"], ids=["file", "folder"])
async def test_failed_sync_is_a_failure_and_not_tried_again(storage, files, in_flight, monkeypatch, sync):
    calls = []

    def fail(file: int) -> None:
        calls.append(file)
        raise OSError(errno.EIO, "Input/output error")

    staged = await storage.stage(NAME)
    await staged.write(b"perhaps")
    monkeypatch.setattr(os, sync, fail)
    for _ in range(2):
        with pytest.raises(BackendFailed, match="Input/output error"):
            await staged.publish()
    assert len(calls) == 1
    await staged.discard()
    with pytest.raises(BlobMissing):
        await storage.open(Blob(name=NAME, size=7))
    assert (files(), in_flight()) == ([], [])


async def test_file_that_cannot_be_closed_is_closed_once(storage, files, monkeypatch):
    """Its descriptor is soon another file's."""
    staged = await storage.stage(NAME)
    await staged.write(b"x")
    close, closed = os.close, []

    def fail(file: int) -> None:
        closed.append(file)
        close(file)
        if len(closed) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "close", fail)
    with pytest.raises(BackendFailed):
        await staged.publish()
    await staged.discard()
    assert len(closed) == 1
    assert files() == []


async def test_what_cannot_be_removed_stays_in_the_journal(storage, in_flight, monkeypatch, caplog):
    staged = await storage.stage(NAME)
    await staged.write(b"x")
    await staged.publish()

    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", fail)
    await staged.discard()
    assert "Permission denied" in caplog.text
    assert in_flight() == [NAME]


async def test_folder_that_was_taken_away_is_a_failure_of_the_write(root, storage):
    """Not a missing blob: nobody asked for one."""
    (root / "tmp").rmdir()
    staged = await storage.stage(NAME)
    with pytest.raises(BackendFailed, match="No such file or directory"):
        await staged.publish()
    await staged.discard()


async def test_too_many_open_files_are_said_to_pass(storage, put, monkeypatch):
    blob = await put(b"x")
    monkeypatch.setattr(os, "open", failing(errno.EMFILE))
    staged = await storage.stage(NAME)
    with pytest.raises(Unavailable):
        await staged.publish()
    await staged.discard()
    with pytest.raises(Unavailable):
        await storage.open(blob)


async def test_write_after_stop_is_refused_and_its_discard_is_quiet(storage):
    staged = await storage.stage(NAME)
    await storage.stop()
    with pytest.raises(Unavailable):
        await staged.write(b"too late")
    await staged.discard()
    await staged.settle()


# --- what is cut off ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation", ["write_all", "sync_file", "sync_folder"], ids=["writing", "syncing", "publishing"]
)
async def test_discard_waits_for_what_a_cancelled_body_left_in_a_thread(
    storage, files, in_flight, gate, operation
):
    """Else a file would be closed under a write, whose bytes could land in another's file."""
    before = open_files()
    held = gate(staging, operation)
    staged = await storage.stage(NAME)

    async def body() -> None:
        await staged.write(b"x" * 1000)
        await staged.write(b"y" * 1000)
        await staged.publish()

    writing = asyncio.create_task(body())
    await held.wait()
    writing.cancel()
    await asyncio.wait((writing,))
    assert writing.cancelled()
    discarding = asyncio.create_task(staged.discard())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not discarding.done()
    assert files() == [NAME]
    held.opened.set()
    await discarding
    assert (files(), in_flight()) == ([], [])
    assert open_files() == before


async def test_discard_that_is_cancelled_goes_on_by_itself(storage, files, gate):
    held = gate(staging, "write_all")
    staged = await storage.stage(NAME)
    await staged.write(b"x")
    await held.wait()
    discarding = asyncio.create_task(staged.discard())
    await asyncio.sleep(0)
    discarding.cancel()
    await asyncio.wait((discarding,))
    assert discarding.cancelled()
    assert staged._ending is not None
    held.opened.set()
    await staged._ending
    assert files() == []


async def test_stop_waits_for_what_is_being_written(storage, in_flight, gate):
    held = gate(staging, "sync_file")
    staged = await storage.stage(NAME)
    publishing = asyncio.create_task(staged.publish())
    await held.wait()
    stopping = asyncio.create_task(storage.stop())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not stopping.done()
    held.opened.set()
    await stopping
    await publishing
    assert in_flight() == [NAME]


async def test_a_disk_that_syncs_slowly_does_not_hold_back_readers(storage, put, read, gate):
    blob = await put(random_bytes(MIB))
    held = gate(staging, "sync_file")
    staged = [await storage.stage(f"{n:032x}") for n in range(2 * WRITERS)]
    publishing = [asyncio.create_task(one.publish()) for one in staged]
    await held.wait()
    assert await asyncio.wait_for(read(blob), 10) == random_bytes(MIB)
    assert not any(task.done() for task in publishing)
    held.opened.set()
    await asyncio.gather(*publishing)


async def test_writes_that_are_cut_off_hold_nothing(storage, files, in_flight):
    async def write(n: int) -> None:
        staged = await storage.stage(f"{n:032x}")
        try:
            for _ in range(3):
                await staged.write(b"x" * 70_000)
            await staged.publish()
        except BaseException:
            await staged.discard()
            raise
        await staged.discard()

    await write(0)
    before = open_files()
    for n in range(1, 300):
        writing = asyncio.create_task(write(n))
        for _ in range(n % 30):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait((writing,))
    await storage.stop()
    assert (files(), in_flight()) == ([], [])
    assert open_files() <= before
