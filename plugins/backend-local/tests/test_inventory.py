"""What scrub sees of the folder, and what it can move."""

import os
import secrets
from pathlib import Path

import pytest
from bleepstore.storage import ENDINGS, Aside, BackendFailed, Blob, Damaged
from bleepstore.testing.storage import MIB, STORE, random_bytes
from bleepstore_backend_local.backend import LocalBackend
from bleepstore_backend_local.format import BLOCK

pytestmark = pytest.mark.anyio


async def test_files_that_can_be_no_blobs_are_named_by_their_places(storage, root: Path, put):
    blob = await put(b"kept")
    strays = ["blobs/00/.DS_Store", "blobs/3f/" + "a" * 32, "blobs/README", "tmp/core.123"]
    for place in strays:
        (root / place).write_bytes(b"x")
    (root / "blobs" / "lost+found").mkdir()
    (root / "blobs" / "ff" / "folder").mkdir()
    assert sorted(await storage.names(ENDINGS)) == sorted([*strays, blob.name])
    slices = [await storage.names(range(ending, ending + 1)) for ending in ENDINGS]
    assert sorted(name for slice in slices for name in slice) == sorted([*strays, blob.name])


async def test_file_that_was_being_written_is_named_and_can_be_moved(storage, root: Path):
    """What a power cut leaves when it takes the journal."""
    name = secrets.token_hex(16)
    (root / "tmp" / name).write_bytes(b"half")
    assert list(await storage.names(ENDINGS)) == [name]
    assert await storage.set_aside(name, Aside.TRASH) == f"trash/{name}"
    assert (root / "trash" / name).read_bytes() == b"half"
    assert not (root / "tmp" / name).exists()


async def test_strays_are_moved_by_their_places_and_nothing_is_replaced(storage, root: Path):
    for n in range(3):
        for folder in ("00", "01"):
            (root / "blobs" / folder / "stray").write_text(f"{folder} {n}")
            assert await storage.set_aside(f"blobs/{folder}/stray", Aside.TRASH) is not None
    held = {path.name: path.read_text() for path in (root / "trash").iterdir()}
    assert sorted(held) == ["stray", *(f"stray.{n}" for n in range(1, 6))]
    assert len(set(held.values())) == 6


@pytest.mark.parametrize(
    "name",
    ["store-id", "../outside", "blobs/../store-id", "blobs/00/../../lock", "journal/x", "", "/etc/x", "tmp/"],
)
async def test_nothing_but_what_was_named_can_be_moved(storage, root: Path, name: str):
    (root.parent / "outside").touch()
    before = sorted(path for path in root.parent.rglob("*") if path.is_file())
    assert await storage.set_aside(name, Aside.TRASH) is None
    assert sorted(path for path in root.parent.rglob("*") if path.is_file()) == before


async def test_link_is_moved_and_not_what_it_leads_to(storage, root: Path, tmp_path: Path):
    (tmp_path / "outside").write_text("kept")
    (root / "blobs" / "00" / "link").symlink_to(tmp_path / "outside")
    assert await storage.set_aside("blobs/00/link", Aside.TRASH) == "trash/link"
    assert (tmp_path / "outside").read_text() == "kept"


async def test_moved_file_is_durable_where_it_is_gone_and_where_it_is_now(
    storage, root: Path, put, monkeypatch
):
    blob = await put(b"x")
    synced = []
    sync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(str(Path(f"/proc/self/fd/{file}").readlink())), sync(file))
    )
    await storage.set_aside(blob.name, Aside.QUARANTINE)
    assert {str(root), str(root / "quarantine"), str(storage.path(blob.name).parent)} <= set(synced)


async def test_names_in_the_journals_of_all_processes_are_in_flight(storage, root: Path):
    """A second worker's, while it lives, and after its death until they are resolved."""
    mine = await storage.stage("1" * 32)
    await mine.write(b"x")
    other = LocalBackend(root, token=storage._token)
    await other.start(STORE, fresh=False)
    theirs = await other.stage("2" * 32)
    await theirs.write(b"x")
    await theirs.publish()
    await mine.publish()
    assert set(await storage.in_flight()) == {"1" * 32, "2" * 32}
    assert list(await storage.abandoned()) == []
    await other.stop()
    assert set(await storage.in_flight()) == {"1" * 32, "2" * 32}
    await storage.resolve(["2" * 32])
    assert set(await storage.in_flight()) == {"1" * 32}
    await mine.settle()


@pytest.mark.parametrize("size", [0, 1, BLOCK, 3 * MIB + 5])
async def test_any_flipped_byte_and_any_other_length_is_found(storage, put, size: int):
    blob = await put(random_bytes(size))
    path = storage.path(blob.name)
    whole = path.read_bytes()
    await storage.verify(blob)
    for place in {0, size // 2, size - 1, size, len(whole) - 1} - {-1}:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Damaged):
            await storage.verify(blob)
    for wrong in (whole[:-1], whole[: size // 2], whole + b"x", b""):
        path.write_bytes(wrong)
        with pytest.raises(Damaged):
            await storage.verify(blob)
    with pytest.raises(Damaged):
        await storage.verify(Blob(name=blob.name, size=size + 1))


async def test_blob_is_read_from_the_disk_and_leaves_no_pages(storage, put, monkeypatch):
    """What memory has of a file is no proof of what the disk has."""
    blob = await put(b"x")
    calls = []
    pread, advise = os.pread, os.posix_fadvise
    monkeypatch.setattr(os, "pread", lambda *args: (calls.append("read"), pread(*args))[1])
    monkeypatch.setattr(os, "posix_fadvise", lambda *args: (calls.append(args[3]), advise(*args))[1])
    await storage.verify(blob)
    assert calls == [os.POSIX_FADV_DONTNEED, "read", "read", os.POSIX_FADV_DONTNEED]
    calls.clear()
    await (await storage.open(blob)).close()
    assert calls == ["read", "read"]


async def test_folder_that_is_gone_is_a_failure_and_no_empty_store(storage, root: Path):
    (root / "blobs" / "7a").rmdir()
    with pytest.raises(BackendFailed):
        await storage.names(ENDINGS)
