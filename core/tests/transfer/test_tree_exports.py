"""Export into a directory tree, and back from it, over both kinds of backends."""

import json
import os
from dataclasses import replace

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


def test_tree_has_every_object_and_nothing_outside_it(files, full, tmp_path):
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
    assert "1 exported" in ran.out
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


def test_object_whose_bytes_are_wrong_is_not_exported(files, cloud, upstream, tmp_path):
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
