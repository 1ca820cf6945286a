"""One folder, one store, one server: what starting refuses, and what it leaves open when it does."""

import os
from pathlib import Path

import pytest
from bleepstore.storage import BackendFailed, Blob, StoreMismatch
from bleepstore.testing.storage import STORE, open_files
from bleepstore_backend_local import backend as backend_module
from bleepstore_backend_local.backend import TOKEN, LocalBackend

pytestmark = pytest.mark.anyio


async def refusal(root: Path, kind: type[Exception], store: str = STORE, *, fresh: bool = False) -> str:
    """The message of a refused start, which must be one line and leave no file open."""
    before = open_files()
    storage = LocalBackend(root)
    with pytest.raises(kind) as raised:
        await storage.start(store, fresh=fresh)
    await storage.stop()
    assert open_files() == before
    message = str(raised.value)
    assert "\n" not in message
    assert str(root) in message
    return message


async def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    assert await refusal(tmp_path / "file" / "objects", BackendFailed) == (
        f"{tmp_path}/file/objects: Not a directory"
    )


async def test_folder_that_cannot_be_written_is_one_line(root: Path, monkeypatch):
    """By a refusing open, since an administrator may write everywhere."""
    make = os.open

    def refusing(path, flags, *rest, **more):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(path))
        return make(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refusing)
    assert await refusal(root, BackendFailed) == f"{root}: Permission denied"


async def test_second_server_on_one_folder_is_refused(root: Path, storage: LocalBackend):
    message = await refusal(root, BackendFailed)
    assert "already in use" in message
    assert f"pid {os.getpid()}" in message


async def test_workers_of_one_server_share_the_folder(root: Path, monkeypatch):
    monkeypatch.setenv(TOKEN, "a-token")
    workers = [LocalBackend(root) for _ in range(3)]
    for worker in workers:
        await worker.start(STORE, fresh=True)
    monkeypatch.delenv(TOKEN)
    await workers[0].stop()
    await refusal(root, BackendFailed)
    for worker in workers:
        await worker.stop()
    again = LocalBackend(root)
    await again.start(STORE, fresh=False)
    await again.stop()


async def test_blobs_without_an_id_are_refused(root: Path, storage: LocalBackend, put):
    blob = await put(b"whose is this?")
    await storage.stop()
    (root / "store-id").unlink()
    assert "not the id" in await refusal(root, StoreMismatch, fresh=True)
    assert storage.path(blob.name).exists()


async def test_another_store_is_named(root: Path, storage: LocalBackend):
    await storage.stop()
    assert f"belongs to store {STORE}" in await refusal(root, StoreMismatch, "f" * 32)
    assert "made anew" in await refusal(root, StoreMismatch, "f" * 32, fresh=True)


async def test_later_format_is_refused(root: Path, storage: LocalBackend):
    await storage.stop()
    (root / "store-id").write_text(f"{STORE} 2\n")
    assert "format 2" in await refusal(root, StoreMismatch)


async def test_id_is_synced_before_it_has_its_name(root: Path, monkeypatch):
    """Else a power cut could leave an empty id, which is nobody's, beside the blobs."""
    done = []
    sync, replace = os.fdatasync, os.replace

    def note_sync(file: int) -> None:
        done.append(("sync", os.pread(file, 100, 0)))
        sync(file)

    def note_replace(old, new) -> None:
        done.append(("replace", Path(new).name))
        replace(old, new)

    monkeypatch.setattr(os, "fdatasync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr(Path, "replace", lambda self, target: note_replace(self, target))
    make = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, flags, *rest, **more: make(
            path, flags & ~os.O_WRONLY | os.O_RDWR if "store-id" in str(path) else flags, *rest, **more
        ),
    )
    storage = LocalBackend(root)
    await storage.start(STORE, fresh=True)
    await storage.stop()
    assert done == [("sync", f"{STORE} 1\n".encode()), ("replace", "store-id")]


async def test_start_that_was_cut_off_can_be_repeated(root: Path, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert "Input/output error" in await refusal(root, BackendFailed, fresh=True)
    monkeypatch.undo()
    storage = LocalBackend(root)
    await storage.start(STORE, fresh=True)
    await storage.stop()


async def test_an_empty_root_beside_metadata_that_knows_more_is_refused(root: Path, storage: LocalBackend):
    """An unmounted disk looks so: taking the id there would make every object a missing one."""
    await storage.stop()
    (root / "store-id").unlink()
    assert "is its disk mounted?" in await refusal(root, StoreMismatch)


async def test_name_of_a_folder_is_synced_before_there_is_anything_under_it(tmp_path: Path, monkeypatch):
    """Also of one that a start made that was killed before it could sync it."""
    syncs: list[tuple[Path, list[str]]] = []

    def note(folder: Path) -> None:
        syncs.append((folder, [path.name for path in folder.iterdir()]))

    monkeypatch.setattr(backend_module, "sync_folder", note)
    (tmp_path / "a").mkdir()
    storage = LocalBackend(tmp_path / "a" / "b" / "objects")
    await storage.start(STORE, fresh=True)
    await storage.stop()
    below = [(tmp_path / "a", ["b"]), (tmp_path / "a" / "b", ["objects"])]
    assert syncs[:3] == [(tmp_path, ["a"]), *below]


async def test_nobody_else_may_look(root: Path, storage: LocalBackend, put):
    blob: Blob = await put(b"private")
    assert storage.path(blob.name).stat().st_mode & 0o077 == 0
    for folder in ("blobs", "tmp", "journal"):
        assert (root / folder).stat().st_mode & 0o077 == 0


async def test_names_are_spread_over_folders(root: Path, storage: LocalBackend):
    assert storage.path("0" * 30 + "a7") == root / "blobs" / "a7" / ("0" * 30 + "a7")
    assert sorted(path.name for path in (root / "blobs").iterdir()) == [f"{n:02x}" for n in range(256)]
