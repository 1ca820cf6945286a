"""``bleepstore import`` of what is upstream already: rows are made, and nothing is written there."""

import hashlib
from dataclasses import replace

import pytest
from bleepstore.storage import Unavailable
from bleepstore.testing.memory_native import NativeMemoryBackend
from bleepstore.testing.memory_upstream import Upstream

HEADERS = {"content-type": "text/plain", "cache-control": "no-store"}


@pytest.fixture(params=[False, True], ids=["generations", "ETags"])
def upstream(request) -> Upstream:
    return Upstream(content_tokens=request.param, page=2)


def calls(upstream: Upstream, *points: str) -> list[str]:
    return [name for point, name in upstream.calls if point in points]


def test_what_is_upstream_has_rows_with_all_that_upstream_says(cloud, upstream):
    held = upstream.put("photos", "a/b c", b"bytes", headers=HEADERS, metadata={"who": "me"})
    upstream.put("photos", "empty", b"")
    upstream.put("music", "song", b"la")
    ran = cloud.run("import")
    assert (ran.code, ran.out, ran.err) == (0, "3 objects, 3 imported: clean\n", "")
    row = cloud.row("photos", "a/b c")
    assert (row.size, row.etag, row.token) == (5, hashlib.md5(b"bytes").hexdigest(), held.token)
    assert (row.modified, row.blob) == (held.modified, "photos/a/b c")
    assert dict(row.attributes.headers) == HEADERS
    assert dict(row.attributes.metadata) == {"who": "me"}
    owner = cloud.do(lambda services: services.metadata.bucket("photos"))
    assert row.owner == owner.owner
    assert (cloud.data("photos", "empty"), cloud.data("music", "song")) == (b"", b"la")
    assert calls(upstream, "write", "publish", "delete") == []


def test_etag_is_computed_where_upstream_knows_none(cloud, upstream, monkeypatch):
    stat = NativeMemoryBackend.stat

    async def knows_none(self, name):
        found = await stat(self, name)
        return None if found is None else replace(found, etag=None)

    monkeypatch.setattr(NativeMemoryBackend, "stat", knows_none)
    upstream.put("photos", "a", b"x" * 3_000_000)
    assert cloud.run("import").code == 0
    assert cloud.row("photos", "a").etag == hashlib.md5(b"x" * 3_000_000).hexdigest()


def test_run_that_was_cut_off_goes_on_with_what_is_missing(cloud, upstream):
    for n in range(9):
        upstream.put("photos", f"{n}", b"x")
    upstream.when("objects answered", lambda: None)
    pages = iter([None, None, Unavailable("upstream is down")])

    def third_page_fails():
        if fault := next(pages):
            raise fault

    upstream.when("objects", third_page_fails, times=3)
    ran = cloud.run("import")
    assert ran.code == 2
    assert "bleepstore: upstream is down" in ran.err
    assert "4 imported" in ran.out
    assert len(cloud.keys("photos")) == 4
    upstream.calls.clear()
    ran = cloud.run("import")
    assert sorted(ran.out.removesuffix(": clean\n").split(", ")) == [
        "4 here already",
        "5 imported",
        "9 objects",
    ]
    assert len(calls(upstream, "stat")) == 5  # what is known is not asked for again
    assert cloud.run("import").out == "9 objects, 9 here already: clean\n"


def test_dry_run_changes_nothing(cloud, upstream):
    upstream.put("photos", "a", b"x")
    ran = cloud.run("import", "--dry-run")
    assert (ran.code, "there is no store" in ran.err, cloud.folder.exists()) == (2, True, False)
    cloud.run("import", "--bucket", "photos")
    upstream.put("music", "song", b"x")
    assert sorted(cloud.run("import", "--dry-run").out.removesuffix(": clean\n").split(", ")) == [
        "1 here already",
        "1 to import",
        "2 objects",
    ]
    assert cloud.do(lambda services: services.metadata.bucket("music")) is None
    ran = cloud.run("import", "--dry-run", "--claim")
    assert (ran.code, "there is no --dry-run of it" in ran.err) == (2, True)


def test_only_what_was_asked_for_is_imported(cloud, upstream):
    for bucket in ("photos", "music"):
        for key in ("a/1", "b/1"):
            upstream.put(bucket, key, b"x")
    assert cloud.run("import", "--bucket", "photos", "--prefix", "a/").code == 0
    assert (cloud.keys("photos"), cloud.keys("music")) == (["a/1"], [])
    ran = cloud.run("import", "--bucket", "films")
    assert (ran.code, ran.lines[0]) == (1, "missing films: there is no such bucket, here or upstream")


def test_what_cannot_be_a_bucket_or_a_key_is_told_and_passed_by(cloud, upstream):
    upstream.put("Not A Bucket", "a", b"x")
    upstream.put("photos", "k" * 1025, b"x")
    upstream.put("photos", "esc\x1b[2J" + "k" * 1025, b"x")
    upstream.put("photos", "fine", b"x")
    ran = cloud.run("import")
    assert ran.code == 1
    assert "unusable Not A Bucket: no bucket can have this name: it is passed by" in ran.lines
    assert f"unusable photos/{'k' * 1025}: this cannot be a key: it is passed by" in ran.lines
    assert "\x1b" not in ran.out
    assert ran.lines[-1] == "3 objects, 1 imported: 3 unusable"
    assert cloud.keys("photos") == ["fine"]


def test_existing_row_is_left_unless_it_is_to_be_overwritten(cloud, upstream):
    upstream.put("photos", "a", b"old")
    cloud.run("import")
    upstream.put("photos", "a", b"newer")
    ran = cloud.run("import")
    assert (ran.code, ran.lines[0].split(":")[0]) == (1, "changed photos/a")
    assert cloud.row("photos", "a").size == 3
    assert cloud.run("import", "--overwrite").out == "1 objects, 1 imported: clean\n"
    assert cloud.data("photos", "a") == b"newer"


def test_what_goes_while_it_is_imported_has_no_row(cloud, upstream):
    upstream.put("photos", "a", b"x")
    upstream.when("stat", lambda: upstream.remove("photos", "a"))
    assert cloud.run("import").out == "1 objects, 1 gone meanwhile: clean\n"
    assert cloud.keys("photos") == []


def test_verify_reads_what_is_imported_and_what_is_here_already(cloud, upstream):
    upstream.put("photos", "a", b"x" * 2000)
    held = upstream.put("photos", "b", b"good")
    upstream.objects["photos/b"] = replace(held, data=b"evil")
    for _ in range(2):
        ran = cloud.run("import", "--verify")
        assert ran.code == 1
        assert ran.lines[0].startswith("damaged photos/b: has the MD5 ")
        assert ran.lines[0].endswith(f"and not its ETag {held.etag}")
        assert ran.lines[-1].endswith(": 1 damaged")


def test_object_that_cannot_be_read_does_not_end_the_run(cloud, upstream):
    upstream.put("photos", "a", b"x")
    upstream.put("photos", "b", b"x")
    upstream.fail("stat", Unavailable("not now"))
    ran = cloud.run("import")
    assert ran.code == 1
    assert ran.lines[0].endswith(": not now")
    assert ran.lines[-1] == "2 objects, 1 imported: 1 unreadable"


def test_progress_is_for_terminals_only(cloud, upstream):
    upstream.put("photos", "a", b"x")
    assert "\r" in cloud.run("import", terminal=True).err
    assert cloud.run("import").err == ""


# --- lost metadata ----------------------------------------------------------------------------------


def test_lost_metadata_is_made_anew_only_when_that_is_asked_for(make_place, upstream):
    upstream.put("photos", "a", b"x")
    assert make_place("first").run("import").code == 0
    second = make_place("second")
    ran = second.run("import")
    assert ran.code == 2
    assert "upstream belongs to store" in ran.err
    assert "`bleepstore import --claim` makes it anew" in ran.err
    assert second.run("import", "--claim").out == "1 objects, 1 imported: clean\n"
    assert second.run("import", "--claim").out == "1 objects, 1 here already: clean\n"
    ran = make_place("first").run("import", "--claim")
    assert ran.code == 2  # its metadata is not lost: nothing is taken
    assert "upstream belongs to store" in ran.err


def test_local_disk_cannot_be_adopted_or_claimed(make_place):
    place = make_place("disk", backend="local")
    assert "name a source" in place.run("import").err
    ran = place.run("import", "--claim")
    assert (ran.code, ran.err) == (
        2,
        "bleepstore: --claim is for what is upstream, and this backend has no upstream\n",
    )
