"""What a power cut may leave, by hand: a sync keeps what was there before it began, the rest is chance."""

from collections.abc import Sequence
from pathlib import Path

from disk_log import Entry, Kind
from power_cut import Chance, Disk, KeepAll, KeepBytes, KeepNames, Luck

FILE, FOLDER = 7, 8
SECTOR = 4096


def entry(
    kind: Kind, path: str = "", inode: int = FILE, *, other: str = "", offset: int = 0, data: bytes = b""
) -> Entry:
    return Entry(kind, inode, offset, path, other, data, 1)


def write(data: bytes, offset: int = 0) -> Entry:
    return entry(Kind.WRITE, "d/f", offset=offset, data=data)


def synced(path: str, inode: int) -> list[Entry]:
    return [entry(Kind.SYNC_BEGINS, path, inode), entry(Kind.SYNC_ENDS, path, inode)]


MADE = [entry(Kind.MAKE_FOLDER, "d"), *synced("", 1), entry(Kind.CREATE, "d/f")]
NAMED = [*MADE, *synced("d", FOLDER)]


def left(tmp_path: Path, entries: Sequence[Entry], luck: Luck) -> dict[str, bytes]:
    """The files by path."""
    disk = Disk()
    disk.play(entries)
    root = tmp_path / str(len(list(tmp_path.iterdir())))
    disk.cut(root, luck)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_name_is_there_once_its_folder_was_synced(tmp_path: Path) -> None:
    assert left(tmp_path, MADE, Luck()) == {}
    assert left(tmp_path, NAMED, Luck()) == {"d/f": b""}


def test_bytes_are_there_once_their_file_was_synced(tmp_path: Path) -> None:
    assert left(tmp_path, [*NAMED, write(b"one")], Luck()) == {"d/f": b""}
    kept = [*NAMED, write(b"one"), *synced("d/f", FILE), write(b"two")]
    assert left(tmp_path, kept, Luck()) == {"d/f": b"one"}
    assert left(tmp_path, kept, KeepAll()) == {"d/f": b"two"}


def test_a_sync_keeps_only_what_was_there_when_it_began(tmp_path: Path) -> None:
    begins, ends = synced("d/f", FILE)
    assert left(tmp_path, [*NAMED, write(b"one"), begins, write(b"two"), ends], Luck()) == {"d/f": b"one"}


def test_names_and_bytes_are_kept_apart(tmp_path: Path) -> None:
    renamed = [*NAMED, write(b"one"), entry(Kind.RENAME, "d/f", other="d/g")]
    assert left(tmp_path, renamed, KeepNames()) == {"d/g": b""}
    assert left(tmp_path, renamed, KeepBytes()) == {"d/f": b"one"}


def test_by_chance_each_sector_and_name_and_size_is_old_or_new(tmp_path: Path) -> None:
    old, new = b"a" * 2 * SECTOR, b"b" * 2 * SECTOR
    entries = [*NAMED, write(old), *synced("d/f", FILE), write(new), write(b"c", 2 * SECTOR)]
    entries.append(entry(Kind.RENAME, "d/f", other="d/g"))
    found = [left(tmp_path, entries, Chance(str(seed))) for seed in range(200)]
    contents = {content for files in found for content in files.values()}
    heads = {(content[:1], content[SECTOR : SECTOR + 1]) for content in contents}
    assert heads == {(b"a", b"a"), (b"a", b"b"), (b"b", b"a"), (b"b", b"b")}
    assert {content[2 * SECTOR :] for content in contents} == {b"", b"\0", b"c"}
    assert {tuple(sorted(files)) for files in found} == {(), ("d/f",), ("d/g",), ("d/f", "d/g")}


def test_an_inode_that_is_used_again_is_another_file(tmp_path: Path) -> None:
    again = [
        *NAMED,
        write(b"one"),
        *synced("d/f", FILE),
        entry(Kind.UNLINK, "d/f"),
        entry(Kind.CREATE, "d/f"),
    ]
    assert left(tmp_path, again, KeepAll()) == {"d/f": b""}
    assert left(tmp_path, again, Luck()) == {"d/f": b"one"}
