"""What goes out and comes in again is the same: any key, any metadata, by a tree or by another endpoint."""

import base64
import hashlib
import itertools
from dataclasses import dataclass, field, replace

import pytest
from bleepstore.http.checksums import ALGORITHMS, checksummer
from bleepstore.metadata import Attributes, Checksum
from bleepstore.transfer.intake import Intake
from bleepstore.transfer.naming import bucket_of, is_key
from bleepstore.transfer.report import Report
from bleepstore.transfer.sources import Item, Opened, Source
from bleepstore.transfer.tree_names import INDEX
from bleepstore.transfer.tree_spelling import Spelling, _folded
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


@dataclass(frozen=True)
class Made:
    """One object."""

    key: str
    data: bytes = b"data"
    attributes: Attributes = field(default_factory=lambda: Attributes(headers={"content-type": "text/x"}))
    tags: bytes | None = None
    etag: str = ""
    modified: int = 1_000_123


class Given(Source):
    """Items whose place is the object."""

    def __init__(self, objects):
        self._objects = {made.key: made for made in objects}

    def buckets(self, only):
        raise NotImplementedError

    def items(self, only, prefix):
        raise NotImplementedError

    async def open(self, item):
        made = self._objects[item.key]

        async def pieces():
            yield made.data

        return Opened(attributes=made.attributes, tags=made.tags, etag=made.etag), pieces()


def filled(bucket, *objects):
    """What :meth:`Place.do` takes to make a bucket with them."""

    async def fill(services):
        report = Report.silent()
        intake = Intake(services, Given(objects), report, overwrite=True, verify=False, dry_run=False)
        row = await bucket_of(services, bucket, make=True)
        for made in objects:
            item = Item(
                bucket=bucket,
                key=made.key,
                size=len(made.data),
                modified=made.modified,
                etag=made.etag,
                place="",
            )
            await intake.take(row, item)
        assert not report.found, report.found

    return fill


def known(place, bucket) -> dict:
    """All that is to be the same of each object, by key."""
    return {
        key: (row.size, row.etag, row.modified, row.tags, row.attributes, data)
        for key, (row, data) in place.contents(bucket).items()
    }


# --- what there can be ----------------------------------------------------------------------------------

LETTERS = st.sampled_from([*"/.aAbBK~%+ -\x01\n\u00e9\u00c9\U0001f600\u212a", "E\u0301"])
LONG = ["n" * 1024, "\u00e9" * 512, "x/" * 512]
KEYS = st.one_of(
    st.lists(LETTERS, min_size=1, max_size=8).map("".join),
    st.sampled_from(["..", "../..", "/", "//", "a/", "a", "a/b", "A", *LONG]),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20),
).filter(is_key)
VALUES = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
HEADERS = st.fixed_dictionaries(
    {"content-type": st.sampled_from(["text/x", "text/html; charset=utf-8"])},
    optional={
        "cache-control": st.just("no-store"),
        "content-disposition": st.sampled_from(
            ['attachment; filename="a b"', "attachment; filename*=UTF-8''%c3"]
        ),
        "content-encoding": st.just("gzip"),
        "content-language": st.just("de, en"),
        "expires": st.sampled_from(["0", "-1", "never", "Thu, 01 Dec 1994 16:00:00 GMT"]),
        "x-amz-website-redirect-location": st.just("/other"),
    },
)
METADATA = st.dictionaries(st.from_regex(r"[a-z0-9_.-]{1,10}", fullmatch=True), VALUES, max_size=3)
DATA = st.sampled_from([b"", b"data", b"x" * 100_000])


@st.composite
def objects(draw) -> Made:
    data = draw(DATA)
    algorithm = draw(st.sampled_from(["CRC64NVME", *ALGORITHMS]))
    sums = checksummer(algorithm)
    sums.update(data)
    attributes = Attributes(
        headers=draw(HEADERS),
        metadata=draw(METADATA),
        storage_class=draw(st.sampled_from(["STANDARD", "STANDARD_IA"])),
        checksum=Checksum(algorithm=algorithm, value=sums.base64()),
    )
    return Made(
        key=draw(KEYS),
        data=data,
        attributes=attributes,
        tags=draw(st.sampled_from([None, b"a=b%20c"])),
        etag=draw(st.sampled_from(["", f"{hashlib.md5(b'').hexdigest()}-12"])),
        modified=draw(st.integers(0, 4_000_000_000_000)),
    )


STORES = settings(
    max_examples=15,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example makes stores: none is made smaller
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = itertools.count()


@STORES
@given(made=st.lists(objects(), min_size=1, max_size=5, unique_by=lambda made: made.key), folds=st.booleans())
def test_import_of_an_exported_tree_is_the_same_store(make_place, tmp_path, monkeypatch, made, folds):
    number = next(numbers)
    first = make_place(f"first-{number}", backend="local")
    first.do(filled("photos", *made))
    held = known(first, "photos")
    assert held == {
        one.key: (
            len(one.data),
            one.etag or hashlib.md5(one.data).hexdigest(),
            one.modified,
            one.tags,
            one.attributes,
            one.data,
        )
        for one in made
    }
    out = tmp_path / f"out-{number}"
    with monkeypatch.context() as patch:
        if folds:  # as on a file system that takes `A` for `a`
            patch.setattr(Spelling, "probe", lambda self, name: setattr(self, "folds", True))
        assert first.run("export", out, "--verify").code == 0
        assert first.run("export", out).lines[-1].endswith(f"{len(made)} there already: clean")
    paths = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    assert len(paths) == len(made) + 1
    if folds:
        assert len(set(map(_folded, paths))) == len(paths)
    second = make_place(f"second-{number}", backend="local")
    ran = second.run("import", out, "--verify")
    assert (ran.code, ran.err) == (0, "")
    assert known(second, "photos") == held
    (out / INDEX).unlink()  # names alone tell of every key
    third = make_place(f"third-{number}", backend="local")
    assert third.run("import", out).code == 0
    assert third.keys("photos") == first.keys("photos")


@pytest.fixture
def url(launch, monkeypatch) -> str:
    """A server, and the credentials for it where boto3 looks."""
    pair = {"AWS_ACCESS_KEY_ID": "bleepstore", "AWS_SECRET_ACCESS_KEY": "bleepstore-secret"}
    for name, value in {**pair, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return f"http://127.0.0.1:{launch().ready().port}"


@settings(parent=STORES, max_examples=6)
@given(made=st.lists(objects(), min_size=3, max_size=8, unique_by=lambda made: made.key))
def test_objects_at_another_endpoint_come_back_the_same(make_place, url, made):
    number = next(numbers)
    bucket = f"bucket-{number}"
    made = [replace(one, etag="", modified=one.modified // 1000 * 1000) for one in made]
    first = make_place(f"first-{number}", backend="local")
    first.do(filled(bucket, *made))
    ran = first.run("export", f"s3://{bucket}", "--endpoint", url, "--bucket", bucket, "--verify")
    assert (ran.code, ran.err) == (0, ""), ran.out
    second = make_place(f"second-{number}", backend="local")
    ran = second.run("import", f"s3://{bucket}", "--endpoint", url, "--verify")
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert endured(second, bucket) == endured(first, bucket)


def endured(place, bucket: str) -> dict:
    """What another endpoint keeps: time, checksum and storage class are its own."""
    return {
        key: (size, etag, tags, dict(attributes.headers), dict(attributes.metadata), data)
        for key, (size, etag, _, tags, attributes, data) in known(place, bucket).items()
    }


def test_names_that_a_file_system_takes_for_the_same_are_files_of_their_own(
    make_place, tmp_path, monkeypatch
):
    """On one that tells them apart, told that it does not: what matters is that no two look the same."""
    keys = ["A", "a", "B//", "b//", "Dir/x", "dir/x", "dir/y", "\u00e9", "E\u0301", "\u00c9", "K", "\u212a"]
    first, second = make_place("first", backend="local"), make_place("second", backend="local")
    monkeypatch.setattr(Spelling, "probe", lambda self, name: setattr(self, "folds", True))
    out = tmp_path / "out"
    first.do(filled("photos", Made("a", b"a")))  # it was alone in an earlier run, and keeps its file
    assert first.run("export", out).code == 0
    first.do(filled("photos", *(Made(key, key.encode()) for key in keys)))
    for _ in range(2):
        assert first.run("export", out, "--verify").code == 0
    paths = [path.relative_to(out).as_posix() for path in (out / "photos").rglob("*") if path.is_file()]
    assert len(paths) == len(keys), paths
    assert len(set(map(_folded, paths))) == len(paths)
    assert (out / "photos/.bleepstore-escaped/b%2F%2F").read_bytes() == b"b//"
    assert second.run("import", out).code == 0
    assert known(second, "photos") == known(first, "photos")


def test_object_whose_file_had_to_move_comes_back_as_it_is_now(make_place, tmp_path):
    first, second = make_place("first", backend="local"), make_place("second", backend="local")
    out = tmp_path / "out"
    first.do(filled("photos", Made("a", b"old")))
    assert first.run("export", out).code == 0
    first.do(filled("photos", Made("a", b"newer"), Made("a/b", b"below")))
    ran = first.run("export", out)
    assert ran.code == 1  # the old file is where a folder is to be, and is not removed
    told = {line.split(":")[0] for line in ran.lines[:-1]}
    assert told == {"escaped photos/a", "unwritable photos/a/b"}
    assert second.run("import", out).lines[-1] == "1 objects, 0.0 MiB read, 1 imported: clean"
    assert second.data("photos", "a") == b"newer"
    (out / "photos/a").unlink()
    assert first.run("export", out).code == 0
    assert second.run("import", out).code == 0
    assert known(second, "photos") == known(first, "photos")


def test_probe_says_what_the_file_system_is(tmp_path):
    spelling = Spelling(tmp_path)
    spelling.probe("x")
    assert spelling.folds is (tmp_path / tmp_path.name.upper()).exists()
    assert list(tmp_path.iterdir()) == []


def test_checksum_of_the_index_must_be_that_of_the_bytes(make_place, tmp_path):
    first = make_place("first", backend="local")
    right = base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    attributes = Attributes(
        headers={"content-type": "text/x"}, checksum=Checksum(algorithm="SHA256", value=right)
    )
    etag = f"{hashlib.md5(b'').hexdigest()}-2"  # which tells nothing of the bytes
    first.do(filled("photos", Made("k", attributes=attributes, etag=etag)))
    out = tmp_path / "out"
    first.run("export", out)
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    (out / INDEX).write_text((out / INDEX).read_text().replace(right, wrong))
    ran = make_place("second", backend="local").run("import", out)
    assert (ran.code, ran.lines[0]) == (
        1,
        f"damaged photos/k: has another SHA256 than {wrong}: it is not taken",
    )
