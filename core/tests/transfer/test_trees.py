"""Import of a directory tree and export into one, over both kinds of backends."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from bleepstore.transfer.tree_names import ESCAPED, INDEX, PARTIAL

HOSTILE = [
    "../../up",
    "/etc/passwd",
    "a//b",
    "a",
    "a/b",
    "a/",
    ".",
    "x/..",
    f"{ESCAPED}/k",
    "\u00e9/\U0001f600",
    "n" * 300,
]


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


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def traces(place) -> list[str]:
    """What a write that failed has left in the backend."""
    return [*place.upstream.staged, *place.upstream.uploads, *place.upstream.parts]


# --- import -----------------------------------------------------------------------------------------


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


def test_data_directory_is_never_made_of_a_source(make_place, tree, monkeypatch):
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


# --- export -----------------------------------------------------------------------------------------


async def put(services, bucket: str, key: str, data: bytes, **more) -> None:
    """An object, as a client with headers, metadata and tags has made it."""
    from bleepstore.metadata import Attributes
    from bleepstore.transfer.console import Report
    from bleepstore.transfer.intake import Intake
    from bleepstore.transfer.naming import bucket_of
    from bleepstore.transfer.sources import Item, Opened, Source

    class Given(Source):
        def buckets(self, only):
            raise NotImplementedError

        def items(self, only, prefix):
            raise NotImplementedError

        async def open(self, item):
            async def pieces():
                yield data

            attributes = Attributes(
                headers={"content-type": "text/x", "cache-control": "no-store"}, metadata={"who": "m\u00e9"}
            )
            return Opened(attributes=attributes, tags=b"a=b%20c"), pieces()

    class Silent:
        def say(self, text):
            raise AssertionError(text)

    report = Report(Silent(), False)
    intake = Intake(services, Given(), report, overwrite=True, verify=False, dry_run=False)
    found = await bucket_of(services, bucket, make=True)
    await intake.take(
        found,
        Item(bucket=bucket, key=key, size=len(data), modified=more.get("at", 1_000_123), etag="", place=""),
    )


@pytest.fixture
def full(place):
    """A store with keys of all kinds."""

    async def fill(services):
        for key in HOSTILE:
            await put(services, "photos", key, key.encode() * 1000)
        await put(services, "music", "song", b"la")

    place.do(fill)
    return place


def test_tree_has_every_object_and_nothing_outside_it(full, tmp_path):
    out = tmp_path / "deep" / "er" / "out"
    before = {path for path in tmp_path.rglob("*") if out not in path.parents}
    ran = full.run("export", out, "--verify")
    assert (ran.code, ran.err) == (0, "")
    there = files(out)
    assert there["photos/a/b"] == b"a/b" * 1000
    assert there["photos/\u00e9/\U0001f600"] == "\u00e9/\U0001f600".encode() * 1000
    assert there["music/song"] == b"la"
    assert len(there) == len(HOSTILE) + 2
    assert {path for path in tmp_path.rglob("*") if out not in path.parents} - before <= {out, *out.parents}
    told = {line.split(":")[0]: line for line in ran.lines[:-1]}
    assert f"photos/{ESCAPED}/a: " not in told
    assert told["escaped photos/a"].endswith(f"other keys are below it: it is photos/{ESCAPED}/a")
    assert "it begins or ends with a slash" in told["escaped photos//etc/passwd"]
    assert len(told) == len(HOSTILE) - 2
    assert not [path for path in there if PARTIAL in path]


def test_import_of_an_export_gives_back_every_object(full, make_place, tmp_path):
    out = tmp_path / "out"
    full.run("export", out)
    other = make_place("other", backend="local")
    ran = other.run("import", out, "--verify")
    assert ran.code == 0
    for bucket in ("photos", "music"):
        ours, theirs = full.rows(bucket), other.rows(bucket)
        assert list(ours) == list(theirs)
        for key, row in ours.items():
            got = theirs[key]
            assert (got.size, got.etag, got.modified, got.tags) == (
                row.size,
                row.etag,
                row.modified,
                b"a=b%20c",
            )
            assert got.attributes == row.attributes
            assert dict(got.attributes.metadata) == {"who": "m\u00e9"}
            assert other.data(bucket, key) == full.data(bucket, key)
    assert "here already" in other.run("import", out).out
    # and one folder of it, as another bucket
    assert other.run("import", out / "music", "--into", "songs").code == 0
    assert other.row("songs", "song").tags == b"a=b%20c"
    assert other.run("import", out, "--into", "songs").code == 2


def test_keys_come_back_without_the_index_too(full, make_place, tmp_path):
    out = tmp_path / "out"
    full.run("export", out)
    (out / INDEX).unlink()
    other = make_place("other", backend="local")
    assert other.run("import", out).code == 0
    assert other.keys("photos") == full.keys("photos")


def test_second_export_writes_nothing_and_says_what_is_new_of_objects(full, tmp_path):
    from bleepstore.commands import PutObjectDocument

    out = tmp_path / "out"
    full.run("export", out)
    index = (out / INDEX).read_text()
    times = {
        path: path.stat().st_ctime_ns for path in out.rglob("*") if path.is_file() and path.name != INDEX
    }
    assert (
        full.run("export", out).out
        == f"{len(HOSTILE) + 1} objects, {len(HOSTILE) + 1} there already: clean\n"
    )
    assert (out / INDEX).read_text() == index

    async def tag(services):
        row = (await services.metadata.object("music", "song"))[1]
        await services.metadata.apply(
            PutObjectDocument(
                id="t", at=1, bucket=row.bucket, key="song", version=row.version, name="tags", body=b"new=1"
            )
        )

    full.do(tag)
    assert full.run("export", out).code == 0
    added = (out / INDEX).read_text().removeprefix(index)
    assert json.loads(added)["tags"] == "new=1"
    assert times == {path: path.stat().st_ctime_ns for path in times}


def test_export_that_was_cut_off_goes_on(full, tmp_path):
    out = tmp_path / "out"
    full.run("export", out)
    (out / "photos/a/b").unlink()
    with (out / INDEX).open("r+") as index:
        text = index.read()
        index.seek(0)
        index.truncate(len(text.encode()) - 20)  # in the middle of a line
    ran = full.run("export", out)
    assert ran.code == 0
    assert f"{len(HOSTILE)} there already, 1 exported" in ran.out or "1 exported" in ran.out
    keys = set()
    for line in (out / INDEX).read_text().splitlines():
        try:
            keys.add(json.loads(line)["key"])
        except ValueError:
            continue
    assert keys == {*HOSTILE, "song"}


def test_what_is_there_is_left_unless_it_may_be_overwritten(full, tmp_path):
    out = tmp_path / "out"
    (out / "music").mkdir(parents=True)
    (out / "music/song").write_bytes(b"mine")
    ran = full.run("export", out, "--bucket", "music")
    assert (ran.code, ran.lines[0]) == (
        1,
        "differs music/song: something else is there; --overwrite replaces it",
    )
    assert (out / "music/song").read_bytes() == b"mine"
    assert full.run("export", out, "--bucket", "music", "--overwrite").code == 0
    assert (out / "music/song").read_bytes() == b"la"


@pytest.mark.parametrize("what", ["bucket", "folder"])
def test_links_in_the_tree_lead_nowhere(full, tmp_path, what):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / "photos").mkdir(parents=True)
    if what == "bucket":
        (out / "photos").rmdir()
        (out / "photos").symlink_to(elsewhere)
    else:
        (out / "photos/a").symlink_to(elsewhere)
    ran = full.run("export", out)
    assert ran.code == 1
    assert any(line.startswith("unwritable photos/a/b: ") and "is in the way" in line for line in ran.lines)
    assert list(elsewhere.iterdir()) == []


def test_link_in_place_of_a_file_is_replaced_and_not_written_through(full, tmp_path):
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.write_text("mine")
    (out / "music").mkdir(parents=True)
    (out / "music/song").symlink_to(victim)
    assert full.run("export", out, "--bucket", "music").code == 1
    assert full.run("export", out, "--bucket", "music", "--overwrite").code == 0
    assert victim.read_text() == "mine"
    assert (out / "music/song").read_bytes() == b"la"


def test_dry_run_of_an_export_writes_nothing(full, tmp_path):
    assert full.run("export", tmp_path / "out", "--dry-run").out.endswith(
        f" {len(HOSTILE) + 1} to export: clean\n"
    )
    assert not (tmp_path / "out").exists()


def test_verify_finds_files_that_were_damaged(full, tmp_path):
    out = tmp_path / "out"
    full.run("export", out)
    place = out / "music/song"
    found = place.stat()
    place.write_bytes(b"lo")
    os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert full.run("export", out).code == 0
    ran = full.run("export", out, "--verify")
    assert ran.code == 1
    assert ran.lines[0].startswith("damaged music/song: there, it has the MD5 ")


def test_object_whose_bytes_are_wrong_is_not_exported(cloud, upstream, tmp_path):
    held = upstream.put("photos", "a", b"good")
    cloud.run("import")
    upstream.objects["photos/a"] = replace(held, data=b"evil")
    ran = cloud.run("export", tmp_path / "out")
    assert (ran.code, ran.lines[0].split(":")[0]) == (1, "damaged photos/a")
    assert list(files(tmp_path / "out")) == [INDEX]


def test_object_that_others_changed_is_exported_as_it_is(cloud, upstream, tmp_path):
    upstream.put("photos", "a", b"old")
    upstream.put("photos", "b", b"old")
    cloud.run("import")
    upstream.put("photos", "a", b"newer")
    upstream.remove("photos", "b")
    ran = cloud.run("export", tmp_path / "out")
    assert (ran.code, ran.lines[0].split(":")[0]) == (1, "unreadable photos/b")
    assert (tmp_path / "out/photos/a").read_bytes() == b"newer"


def test_index_cannot_name_files_elsewhere(place, tmp_path):
    (tmp_path / "secret").write_text("secret")
    out = tmp_path / "out"
    (out / "photos").mkdir(parents=True)
    (out / "photos/link").symlink_to(tmp_path)
    found = (tmp_path / "secret").stat()
    entry = {
        "bucket": "photos",
        "key": "k",
        "size": 6,
        "etag": "",
        "modified": found.st_mtime_ns // 1_000_000,
        "headers": {},
        "metadata": {},
    }
    lines = [{**entry, "path": "../secret"}, {**entry, "path": str(tmp_path / "secret")}]
    lines += [{**entry, "path": "photos/link/secret", "key": "link/secret"}]
    lines += [{**entry, "bucket": "..", "path": "../secret", "key": "secret"}]
    (out / INDEX).write_text("".join(json.dumps(line) + "\n" for line in lines) + "[]\nnothing\n")
    ran = place.run("import", out)
    assert place.keys("photos") == []
    assert ran.lines[-1].startswith("0 objects")


@pytest.mark.parametrize("key", ["a", "big"])
def test_object_of_parts_and_inline_objects_are_exported(make_place, tmp_path, key):
    place = make_place(backend="local")
    data = {"a": b"small", "big": b"x" * 200_000}[key]
    place.do(lambda services: put(services, "photos", key, data))
    row = place.row("photos", key)
    assert row.inline is (key == "a")
    assert place.run("export", tmp_path / "out", "--verify").code == 0
    assert (tmp_path / "out/photos" / key).read_bytes() == data
