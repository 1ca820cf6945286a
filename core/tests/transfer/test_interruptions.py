"""Commands that are cut off by a signal at any point, and run again; a server that has the store open."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bleepstore.transfer.tree_names import INDEX, PARTIAL

FILES = 40
SIZE = 1_500_000


def begin(*arguments: object) -> subprocess.Popen:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "MINIO_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "bleepstore", *map(str, arguments)],
        env=kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(*arguments: object) -> tuple[int, str, str]:
    process = begin(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def end_when(process: subprocess.Popen, number: int, condition) -> tuple[int, str, str]:
    """Send a signal as soon as it is time; the process may have been faster."""
    end = time.monotonic() + 60
    while process.poll() is None and not condition():
        assert time.monotonic() < end
        time.sleep(0.0005)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree/photos"
    folder.mkdir(parents=True)
    for n in range(FILES):
        (folder / f"{n:03}").write_bytes(bytes([n]) * (SIZE if n % 2 else 100))
    return folder.parent


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_import_that_is_cut_off_again_and_again_ends_whole(make_place, tree, number):
    place = make_place(backend="local")
    blobs = place.folder / "objects/blobs"
    for at in (1, 12):

        def reached(at=at) -> bool:
            return blobs.exists() and sum(1 for _ in blobs.rglob("*/*")) >= at

        code, out, err = end_when(begin("import", place.folder, tree), number, reached)
        assert code in (-number, 128 + number, 0)
        assert "Traceback" not in err
        if code > 0:
            assert err.endswith("bleepstore: interrupted: the same command goes on from here\n")
            assert out == "" or out.splitlines()[-1].endswith("clean")
        if place.folder.joinpath("metadata.db").exists():
            there = {f"photos/{key}": data for key, (_, data) in place.contents("photos").items()}
            assert there.items() <= files(tree).items()  # what is there is whole
    code, out, err = command("import", place.folder, tree, "--verify")
    assert (code, err) == (0, "")
    assert f"{FILES} objects" in out
    assert "here already" in out
    assert {f"photos/{key}": data for key, (_, data) in place.contents("photos").items()} == files(tree)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_export_that_is_cut_off_again_and_again_ends_whole(make_place, tree, tmp_path, number):
    place = make_place(backend="local")
    assert place.run("import", tree).code == 0
    out = tmp_path / "out"
    for at in (1, 12):

        def reached(at=at) -> bool:
            return out.exists() and sum(1 for _ in out.rglob("photos/*")) >= at

        code, _, err = end_when(begin("export", place.folder, out), number, reached)
        assert code in (-number, 128 + number, 0)
        assert "Traceback" not in err
        whole = {name: data for name, data in files(out).items() if "/" in name}
        assert whole.items() <= files(tree).items()
    code, said, err = command("export", place.folder, out, "--verify")
    assert (code, err) == (0, "")
    assert "there already" in said
    assert files(out).keys() == {*files(tree), INDEX}
    assert {name: data for name, data in files(out).items() if name != INDEX} == files(tree)


def test_leftovers_of_an_export_are_no_objects_and_go_with_the_next(make_place, tree, tmp_path):
    place = make_place(backend="local")
    place.run("import", tree)
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{PARTIAL}0123").write_bytes(b"half")
    other = make_place("other", backend="local")
    assert other.run("import", out).lines == ["0 objects: clean"]
    assert place.run("export", out).code == 0
    assert not list(out.glob(f"{PARTIAL}*"))


def test_two_exports_into_one_tree_do_not_disturb_each_other(make_place, tree, tmp_path):
    import fcntl

    place = make_place(backend="local")
    place.run("import", tree)
    out = tmp_path / "out"
    out.mkdir()
    with (out / INDEX).open("a") as index:
        fcntl.flock(index, fcntl.LOCK_EX)
        ran = place.run("export", out)
    assert (ran.code, ran.err) == (2, f"bleepstore: {out}: another export writes there\n")


@pytest.mark.parametrize("name", ["import", "export", "rescan"])
def test_store_of_a_running_server_is_left_alone(launch, tmp_path, name):
    server = launch("data").ready()
    arguments = {"import": [tmp_path], "export": [tmp_path / "out"], "rescan": []}[name]
    code, out, err = command(name, server.folder / "data", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "is already in use by another BleepStore server" in err
    assert not (tmp_path / "out").exists()


def test_signal_ends_a_run_in_front_of_a_cloud_with_what_it_has_done(cloud, upstream):
    for n in range(40):
        upstream.put("photos", f"{n:02}", b"x")
    upstream.when("stat", lambda: None, times=9)
    upstream.when("stat", lambda: signal.raise_signal(signal.SIGINT))
    ran = cloud.run("import")
    assert ran.code == 130
    assert ran.err == "bleepstore: interrupted: the same command goes on from here\n"
    assert ran.lines[-1].endswith(": clean")
    assert signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler)
    assert cloud.run("import").code == 0
    assert len(cloud.keys("photos")) == 40
