"""Backends by strangers: their wheels beside ours in a clean environment, found, chosen, tested, serving.

One is the example ``examples/backend-sqlitefs``, the others are what ``bleepstore plugin new`` writes.
"""

import json
import os
import sqlite3
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from installing import ROOT, build_wheels, make_environment, run, serving

EXAMPLE = ROOT / "examples" / "backend-sqlitefs"
BACKENDS = {"sqlitefs": "path", "deep_shelf": "root", "cumulus": "root"}
"""Names in ``storage.backend``, each with the key that says where its data is."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sources of the three distributions."""
    folder = tmp_path_factory.mktemp("projects")
    skeletons = {"deep_shelf": (), "cumulus": ("--native",)}
    for name, kind in skeletons.items():
        run(sys.executable, "-m", "bleepstore", "plugin", "new", "backend", name, str(folder / name), *kind)
    return {"sqlitefs": EXAMPLE, **{name: folder / name for name in skeletons}}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, projects: dict[str, Path]) -> Path:
    """The programs of a venv with wheels only: BleepStore, the three, and what their tests need."""
    ours = (ROOT, ROOT / "core", ROOT / "plugins" / "backend-local")
    wheels = build_wheels(tmp_path_factory.mktemp("wheels"), [*ours, *projects.values()])
    assert len(wheels) == 6
    example = wheels.pop("bleepstore-backend-sqlitefs")
    folder = tmp_path_factory.mktemp("venv")
    return make_environment(folder, f"{example}[test]", *map(str, wheels.values()))


def test_they_are_found_by_their_entry_points(environment, tmp_path):
    listed = json.loads(run(str(environment / "bleepstore"), "plugins", "--json", cwd=tmp_path))
    found = {plugin["name"]: plugin for plugin in listed}
    for name in BACKENDS:
        assert found[name]["active"]
        assert found[name]["registers"] == ["storage_backends"]
        assert found[name]["distribution"] == f"bleepstore-backend-{name.replace('_', '-')}"


@pytest.mark.parametrize("name", BACKENDS)
def test_their_own_tests_pass_where_they_are_installed(environment, projects, tmp_path, name):
    """The kit, from the wheel; of the distribution only its tests are there."""
    tests = tmp_path / "tests"
    tests.mkdir()
    for file in (projects[name] / "tests").glob("*.py"):
        (tests / file.name).write_bytes(file.read_bytes())
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error", "--strict-markers")
    report = run(str(environment / "python"), "-m", "pytest", *options, str(tests), cwd=tmp_path)
    last = report.strip().splitlines()[-1]
    assert " passed" in last
    assert "skipped" not in last


@pytest.mark.parametrize("name", BACKENDS)
def test_they_are_chosen_in_the_configuration_and_serve(environment, tmp_path, name):
    settings = {"storage": {"backend": name, name: {BACKENDS[name]: "blobs"}}}
    (tmp_path / "bleepstore.yaml").write_text(json.dumps(settings))

    def presigned(method: str, endpoint: str) -> str:
        command = ("presign", method, "s3://bucket/a key", "--endpoint", endpoint)
        return run(str(environment / "bleepstore"), *command, cwd=tmp_path).strip()

    body = os.urandom(700_000)
    with serving(environment, tmp_path, "--bucket", "bucket") as endpoint:
        with urlopen(Request(presigned("put", endpoint), data=body, method="PUT"), timeout=30) as reply:
            assert reply.status == 200
        with urlopen(presigned("get", endpoint), timeout=30) as reply:
            assert reply.read() == body
    with serving(environment, tmp_path) as endpoint, urlopen(presigned("get", endpoint), timeout=30) as reply:
        assert reply.read() == body
    assert (tmp_path / "blobs").exists()


def test_the_example_holds_objects_as_rows(environment, tmp_path):
    settings = {"storage": {"backend": "sqlitefs", "sqlitefs": {"path": "blobs.db"}}}
    (tmp_path / "bleepstore.yaml").write_text(json.dumps(settings))
    body = os.urandom(700_000)
    with serving(environment, tmp_path, "--bucket", "bucket") as endpoint:
        command = ("presign", "put", "s3://bucket/key", "--endpoint", endpoint)
        url = run(str(environment / "bleepstore"), *command, cwd=tmp_path).strip()
        with urlopen(Request(url, data=body, method="PUT"), timeout=30) as reply:
            assert reply.status == 200
    database = sqlite3.connect(tmp_path / "blobs.db")
    assert b"".join(data for (data,) in database.execute("SELECT data FROM pieces ORDER BY n")) == body
    assert database.execute("SELECT size, state FROM blobs").fetchall() == [(len(body), 2)]
    database.close()
