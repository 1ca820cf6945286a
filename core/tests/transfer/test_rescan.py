"""``bleepstore rescan``: what differs between rows and upstream is told, and ended with ``--fix``."""

import json
from dataclasses import replace

import pytest
from bleepstore.commands import CommitObject, Content, CreateBucket, DeleteObject, Reserve
from bleepstore.metadata import Attributes
from bleepstore.storage import Unavailable
from bleepstore.testing.memory_upstream import Upstream


@pytest.fixture(params=[False, True], ids=["generations", "ETags"])
def upstream(request) -> Upstream:
    return Upstream(content_tokens=request.param, page=2)


@pytest.fixture
def filled(cloud, upstream):
    """A store with three objects, of which upstream and metadata say the same."""
    for key in ("a", "b", "c"):
        upstream.put("photos", key, key.encode(), metadata={"n": key})
    assert cloud.run("import").code == 0
    return cloud


def agree(cloud, upstream) -> bool:
    """Whether rows are what upstream holds."""
    held = {name.partition("/")[2]: found for name, found in upstream.objects.items()}
    if cloud.keys("photos") != sorted(held):
        return False
    rows = {key: cloud.row("photos", key) for key in held}
    return all((rows[key].token, rows[key].etag) == (held[key].token, held[key].etag) for key in held)


def test_nothing_is_told_where_nothing_differs(filled):
    assert filled.run("rescan").out == "3 objects: clean\n"
    assert filled.run("rescan", "--verify", "--fix").out == "3 objects, 0.0 MiB read: clean\n"


def test_what_others_did_is_told_and_then_ended(filled, upstream):
    upstream.put("photos", "a", b"other")
    upstream.remove("photos", "b")
    upstream.put("photos", "new", b"new")
    before = dict(upstream.objects)
    ran = filled.run("rescan")
    assert ran.code == 1
    assert sorted(line.split(":")[0] for line in ran.lines[:-1]) == [
        "changed photos/a",
        "removed photos/b",
        "unknown photos/new",
    ]
    assert ran.lines[-1].startswith("4 objects: 1 ")
    assert not agree(filled, upstream)
    ran = filled.run("rescan", "--fix")
    assert ran.code == 1
    assert {line.rpartition("; ")[2] for line in ran.lines[:-1]} == {"adopted", "its row is gone", "imported"}
    assert agree(filled, upstream)
    assert upstream.objects == before  # upstream is always right
    assert filled.run("rescan").code == 0


def test_bucket_that_is_all_gone_or_all_new_is_looked_at(filled, upstream):
    for key in ("a", "b", "c"):
        upstream.remove("photos", key)
    upstream.put("music", "song", b"la")
    ran = filled.run("rescan")
    assert ran.lines[-1] == "4 objects: 1 unknown, 3 removed"
    assert filled.do(lambda services: services.metadata.bucket("music")) is None
    filled.run("rescan", "--fix")
    assert (filled.keys("photos"), filled.keys("music")) == ([], ["song"])


def test_other_buckets_are_left_alone(filled, upstream):
    upstream.remove("photos", "a")
    upstream.put("music", "song", b"la")
    assert filled.run("rescan", "--bucket", "music", "--fix").lines[-1] == "1 objects: 1 unknown"
    assert filled.keys("photos") == ["a", "b", "c"]


def test_json_is_an_object_a_line(filled, upstream):
    upstream.put("photos", "new", b"new")
    finding, summary = map(json.loads, filled.run("rescan", "--fix", "--json").lines)
    detail = "has no row; imported"
    assert finding == {
        "kind": "unknown",
        "bucket": "photos",
        "key": "new",
        "detail": detail,
        "fixed": True,
    }
    assert summary == {"kind": "summary", "objects": 4, "bytes_read": 0, "unknown": 1}


def test_row_keeps_what_upstream_knows_nothing_of(filled, upstream):
    async def tag(services):
        bucket = await services.metadata.bucket("photos")
        row = (await services.metadata.object("photos", "a"))[1]
        from bleepstore.commands import PutObjectDocument

        for name, body in (("acl", b"<acl/>"), ("tags", b"a=b")):
            await services.metadata.apply(
                PutObjectDocument(
                    id=name, at=1, bucket=bucket.id, key="a", version=row.version, name=name, body=body
                )
            )

    filled.do(tag)
    upstream.put("photos", "a", b"other")
    filled.run("rescan", "--fix")
    row = filled.row("photos", "a")
    assert (row.acl, row.tags, row.size) == (b"<acl/>", b"a=b", 5)


@pytest.mark.parametrize("change", ["headers", "metadata", "data"])
def test_changes_that_tokens_do_not_tell_are_found_when_asked(filled, upstream, change):
    held = upstream.objects["photos/a"]
    other = {"headers": {"content-type": "text/x"}, "metadata": {"n": "z"}, "data": b"z"}
    upstream.objects["photos/a"] = replace(held, **{change: other[change]})
    assert filled.run("rescan").code == 0
    ran = filled.run("rescan", "--verify", "--fix")
    assert (ran.code, ran.lines[0].split(":")[0]) == (
        1,
        f"{'damaged' if change == 'data' else 'changed'} photos/a",
    )
    if change != "data":
        row = filled.row("photos", "a")
        assert dict(getattr(row.attributes, change)) == other[change]
        assert filled.run("rescan", "--verify").code == 0


# --- writes that were cut off -----------------------------------------------------------------------


async def cut_off(services, key: str, *, fingerprint: str, delete: bool = False) -> None:
    """An intent whose process is dead."""
    bucket = await services.metadata.bucket("photos")
    common = {"id": services.new_id(), "at": services.clock(), "bucket": bucket.id, "key": key}
    command = (
        DeleteObject(**common)
        if delete
        else CommitObject(
            **common, content=Content(size=4), etag="e" * 32, owner="me", attributes=Attributes()
        )
    )
    await services.metadata.apply(
        Reserve(
            id=services.new_id(),
            at=services.clock(),
            reservation=f"of {key}",
            holder="somebody dead",
            fingerprint=fingerprint,
            command=command,
        )
    )


def test_writes_that_were_cut_off_are_decided_by_what_upstream_holds(filled, upstream):
    async def crash(services):
        held = upstream.put("photos", "written", b"data")
        await cut_off(services, "written", fingerprint=held.etag)
        await cut_off(services, "not-written", fingerprint="f" * 32)
        upstream.remove("photos", "a")
        await cut_off(services, "a", fingerprint="", delete=True)
        await cut_off(services, "b", fingerprint="", delete=True)

    filled.do(crash)
    ran = filled.run("rescan")
    assert (ran.code, ran.lines[-1]) == (1, "3 objects: 4 pending")  # and nothing else about those keys
    ran = filled.run("rescan", "--fix")
    assert sorted(ran.lines[:-1]) == [
        f"pending photos/{key}: a write or delete was cut off; resolved"
        for key in ("a", "b", "not-written", "written")
    ]
    assert filled.keys("photos") == ["b", "c", "written"]
    assert filled.row("photos", "written").etag == "e" * 32  # as the client was to be told
    assert filled.run("rescan").code == 0


def test_import_decides_writes_that_were_cut_off_first(filled, upstream):
    async def crash(services):
        held = upstream.put("photos", "written", b"data")
        await cut_off(services, "written", fingerprint=held.etag)

    filled.do(crash)
    assert filled.run("import").out == "4 objects, 4 here already: clean\n"


def test_intent_that_cannot_be_decided_now_stays(filled, upstream):
    async def crash(services):
        await cut_off(services, "x", fingerprint="f" * 32)

    filled.do(crash)
    upstream.fail("stat", Unavailable("not now"))
    ran = filled.run("rescan", "--fix")
    assert ran.lines[0] == "pending photos/x: a write or delete was cut off; cannot be decided now: not now"
    assert filled.run("rescan", "--fix").lines[0].endswith("; resolved")


# --- what cannot be rescanned -----------------------------------------------------------------------


def test_local_disk_is_for_scrub(make_place):
    place = make_place("disk", backend="local")

    async def make(services):
        await services.metadata.apply(CreateBucket(id="b", at=1, name="bucket", owner="me", region="r"))

    place.do(make)
    ran = place.run("rescan")
    assert (ran.code, ran.out) == (2, "")
    assert "`bleepstore scrub`" in ran.err


def test_store_that_is_not_there_is_not_made(cloud):
    ran = cloud.run("rescan")
    assert ran.code == 2
    assert "there is no store" in ran.err
    assert not cloud.folder.exists()


def test_upstream_that_is_down_ends_it(filled, upstream):
    upstream.fail("buckets", Unavailable("upstream is down"))
    ran = filled.run("rescan")
    assert (ran.code, ran.out, ran.err) == (2, "", "bleepstore: upstream is down\n")


def test_row_whose_upstream_is_not_told_by_the_listing_is_asked_for(filled, upstream, monkeypatch):
    """A listing that leaves something out never costs a row."""
    held = upstream.objects.pop("photos/b")
    upstream.when("stat", lambda: upstream.objects.update({"photos/b": held}))
    assert filled.run("rescan", "--fix").out == "3 objects: clean\n"
    assert agree(filled, upstream)
