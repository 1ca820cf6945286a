"""Import of a directory tree, over both kinds of backends."""

import hashlib
import os
from pathlib import Path

import pytest


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two buckets, and what is none."""
    root = tmp_path / "tree"
    for path, data in {
        "photos/2024/a.jpg": b"jpg" * 100_000,
        "photos/empty": b"",
        "photos/small.txt": b"text",
        "music/song": b"la",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        os.utime(root / path, ns=(1_700_000_000_123_000_000, 1_700_000_000_123_000_000))
    return root


def traces(place) -> list[str]:
    """What a write that failed has left in the backend."""
    return [*place.upstream.staged, *place.upstream.uploads, *place.upstream.parts]


def test_tree_comes_in_folder_by_folder(place, tree):
    ran = place.run("import", tree, "--verify")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[-1].endswith("4 imported: clean")
    rows = place.rows("photos")
    assert sorted(rows) == ["2024/a.jpg", "empty", "small.txt"]
    row = rows["2024/a.jpg"]
    assert row.etag == hashlib.md5(b"jpg" * 100_000).hexdigest()
    assert (row.size, row.modified) == (300_000, 1_700_000_000_123)
    assert dict(row.attributes.headers) == {"content-type": "image/jpeg"}
    assert row.attributes.checksum.algorithm == "CRC64NVME"
    assert place.data("photos", "2024/a.jpg") == b"jpg" * 100_000
    assert place.data("photos", "small.txt") == b"text"
    assert place.data("photos", "empty") == b""
    assert place.keys("music") == ["song"]
    assert traces(place) == []


def test_second_run_copies_nothing(place, tree):
    place.run("import", tree)
    (tree / "photos/new").write_bytes(b"new")
    ran = place.run("import", tree)
    assert ran.code == 0
    assert "4 here already" in ran.out
    assert "1 imported" in ran.out


def test_changed_file_is_taken_only_where_it_may_overwrite(place, tree):
    place.run("import", tree)
    (tree / "music/song").write_bytes(b"la la")
    ran = place.run("import", tree)
    assert (ran.code, ran.lines[0]) == (
        1,
        "changed music/song: differs from what is here; --overwrite takes it",
    )
    assert place.data("music", "song") == b"la"
    assert place.run("import", tree, "--overwrite").code == 0
    assert place.data("music", "song") == b"la la"


def test_folder_becomes_the_bucket_that_is_named(place, tree):
    ran = place.run("import", tree / "photos", "--into", "pictures", "--prefix", "2024/")
    assert ran.code == 0
    assert place.keys("pictures") == ["2024/a.jpg"]
    ran = place.run("import", tree, "--into", "No")
    assert (ran.code, ran.err) == (2, "bleepstore: --into No: no bucket can have this name\n")


def test_dry_run_of_a_tree_changes_nothing(place, tree):
    place.do(lambda services: services.metadata.bucket("photos"))
    assert place.run("import", tree, "--dry-run").out == "4 objects, 4 to import: clean\n"
    assert place.do(lambda services: services.metadata.bucket("photos")) is None


def test_nothing_outside_the_tree_is_read(place, tree, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tree / "photos/link").symlink_to(tmp_path / "secret")
    (tree / "photos/folder").symlink_to(tmp_path)
    (tree / "linked").symlink_to(tmp_path)
    (tree / "loose").write_text("in no bucket")
    os.mkfifo(tree / "photos/pipe")
    ran = place.run("import", tree)
    assert ran.code == 1
    assert {line.split(":")[0] for line in ran.lines[:-1]} == {
        "unusable photos/link",
        "unusable photos/folder",
        "unusable photos/pipe",
        "unusable linked",
        "unusable loose",
    }
    assert place.keys("photos") == ["2024/a.jpg", "empty", "small.txt"]


def test_names_that_are_no_text_and_folders_that_are_no_buckets_are_told(place, tree):
    (tree / "photos" / os.fsdecode(b"\xff")).write_bytes(b"x")
    (tree / "Not a bucket").mkdir()
    ran = place.run("import", tree)
    assert ran.code == 1
    assert "unusable Not a bucket: no bucket can have this name: it is passed by" in ran.lines
    assert ran.lines[-1].endswith("2 unusable")


def test_file_that_changes_while_it_is_read_leaves_nothing(place, tree, monkeypatch):
    from bleepstore.transfer import tree_source

    async def shorter(file, path):
        with file:
            yield file.read(100)

    monkeypatch.setattr(tree_source, "_pieces", shorter)
    ran = place.run("import", tree, "--bucket", "photos")
    assert ran.code == 1
    assert "damaged photos/2024/a.jpg: has 100 bytes, and not 300000: it is not taken" in ran.lines
    assert place.keys("photos") == ["empty", "small.txt"]
    assert traces(place) == []


@pytest.mark.parametrize("size", [300_000, 100])
def test_file_that_is_overwritten_while_it_is_read_is_not_taken(place, tree, monkeypatch, size):
    """As many bytes as before, of two states."""
    victim = tree / "photos/2024/a.jpg"
    victim.write_bytes(b"1" * size)
    from bleepstore.transfer import tree_source

    real = tree_source._pieces

    async def overwritten(file, path):
        async for piece in real(file, path):
            if path == victim:
                victim.write_bytes(b"2" * size)
                os.utime(victim, ns=(1, 1))
            yield piece

    monkeypatch.setattr(tree_source, "_pieces", overwritten)
    ran = place.run("import", tree, "--bucket", "photos")
    assert (ran.code, ran.lines[0]) == (1, "unreadable photos/2024/a.jpg: was changed while it was imported")
    assert place.keys("photos") == ["empty", "small.txt"]
    assert traces(place) == []


def test_packed_files_are_of_the_type_of_their_packer(place, tree):
    (tree / "photos/a.tar.gz").write_bytes(b"x")
    (tree / "photos/b.csv.xz").write_bytes(b"x")
    place.run("import", tree, "--bucket", "photos")
    types = {key: row.attributes.headers["content-type"] for key, row in place.rows("photos").items()}
    assert (types["a.tar.gz"], types["b.csv.xz"]) == ("application/gzip", "application/x-xz")


def test_file_that_may_not_be_read_does_not_end_the_run(place, tree, monkeypatch):
    real = os.open

    def refused(path, *more):
        if str(path).endswith("small.txt"):
            raise PermissionError(13, "Permission denied")
        return real(path, *more)

    monkeypatch.setattr(os, "open", refused)
    ran = place.run("import", tree, "--bucket", "photos")
    assert ran.code == 1
    assert ran.lines[0] == f"unreadable photos/small.txt: {tree}/photos/small.txt: Permission denied"
    assert place.keys("photos") == ["2024/a.jpg", "empty"]


def test_data_directories_are_neither_sources_nor_destinations(make_place, tree, tmp_path):
    place = make_place(backend="local")
    place.run("import", tree)
    other = make_place("other", backend="local")
    ran = other.run("import", place.folder)
    assert (ran.code, "is a data directory of BleepStore" in ran.err) == (2, True)
    ran = place.run("export", place.folder)
    assert (ran.code, "is a data directory of BleepStore" in ran.err) == (2, True)
    (tree / "old-store").mkdir()
    (tree / "old-store/metadata.db").write_bytes(b"")
    ran = other.run("import", tree)
    assert "unusable old-store: is a data directory: it is passed by" in ran.lines
    assert other.keys("old-store") == []


def test_data_directory_is_never_made_of_a_source(files, make_place, tree, monkeypatch):
    place = make_place(backend="local")
    from bleepstore.transfer import importing

    for given, says in (
        (tree, "is no data directory"),
        (Path("s3:/bucket"), "name the data directory first"),
    ):
        before = files(tree)
        parse = importing.configure

        def configure(parser, given=given, parse=parse):
            parse(parser)
            parser.set_defaults(directory=given)

        with monkeypatch.context() as patch:
            patch.setattr(importing, "configure", configure)
            ran = place.run("import")
        assert ran.code == 2
        assert says in ran.err
        assert files(tree) == before
        assert not place.folder.exists()


def test_object_that_is_upstream_without_a_row_is_not_overwritten(cloud, upstream, tree):
    cloud.run("import", tree, "--bucket", "music")
    upstream.put("photos", "small.txt", b"of others")
    ran = cloud.run("import", tree)
    assert ran.code == 1
    assert ran.lines[0].startswith("changed photos/small.txt: ")
    assert upstream.objects["photos/small.txt"].data == b"of others"
    assert cloud.run("import", tree, "--overwrite").code == 0
    assert upstream.objects["photos/small.txt"].data == b"text"


def test_empty_buckets_move_too(make_place, tmp_path):
    from bleepstore.transfer.naming import bucket_of

    first = make_place("first", backend="local")
    first.do(lambda services: bucket_of(services, "empty", make=True))
    assert first.run("export", tmp_path / "out").code == 0
    second = make_place("second", backend="local")
    assert second.run("import", tmp_path / "out", "--prefix", "x").code == 0
    assert second.do(lambda services: services.metadata.bucket("empty")) is None
    assert second.run("import", tmp_path / "out").lines == ["0 objects: clean"]
    assert second.do(lambda services: services.metadata.bucket("empty")) is not None
