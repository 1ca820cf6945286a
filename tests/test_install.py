"""From source to a server that answers, as ``pip`` does it: wheels of all distributions, an empty venv.

Needs pip's package index, for hatchling and for what the core depends on.
"""

import json
import os
import re
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("metadata-raft",)
"""Plugins that hold their place: no code, no entry point."""
CLOUDS = ("aws", "azure", "gcp")
PROJECTS = (
    *(".", "core", "plugins/backend-local"),
    *(f"plugins/backend-{cloud}" for cloud in CLOUDS),
    *(f"plugins/{place}" for place in PLACES),
)
PATIENCE = 60.0
"""Seconds that the installed server may take to answer."""


def run(*command: str, cwd: Path | None = None) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "MINIO_", "PYTHON"))}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=kept, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels by distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps")
    run(*pip, "-w", str(folder), *(str(ROOT / project) for project in PROJECTS))
    return {path.name.partition("-")[0].replace("_", "-"): path for path in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Path:
    """The programs of a venv with nothing but what ``pip install bleepstore`` brings."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    chosen = (wheels[name] for name in ("bleepstore", "bleepstore-core", "bleepstore-backend-local"))
    pip = (str(programs / "python"), "-m", "pip", "--disable-pip-version-check")
    constraints = ("-c", str(ROOT / "constraints.txt"))
    run(*pip, "install", "--quiet", "--no-compile", *constraints, *map(str, chosen))
    run(*pip, "check")
    return programs


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


def entry_points(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (n for n in file.namelist() if n.endswith("/entry_points.txt"))
        return file.read(name).decode()


def test_every_distribution_has_a_wheel(wheels):
    assert set(wheels) == {
        *("bleepstore", "bleepstore-core", "bleepstore-backend-local"),
        *(f"bleepstore-backend-{cloud}" for cloud in CLOUDS),
        *(f"bleepstore-{place}" for place in PLACES),
    }


@pytest.mark.parametrize("name", ["bleepstore", *(f"bleepstore-{place}" for place in PLACES)])
def test_distributions_without_code_have_metadata_alone(wheels, name):
    assert all(".dist-info/" in file for file in names(wheels[name]))
    assert not any(file.endswith("entry_points.txt") for file in names(wheels[name]))


def test_distributions_with_code_are_typed_and_register_their_plugins(wheels):
    core = wheels["bleepstore-core"]
    assert {"bleepstore/py.typed", "bleepstore/hookspecs.py"} <= names(core)
    for plugin in ("admin", "auth", "s3", "sqlite", "transfer", "upkeep"):
        assert f"\n{plugin} = bleepstore.{plugin}.plugin:plugin" in entry_points(core)
    assert "bleepstore = bleepstore.cli:main" in entry_points(core)
    for backend in ("local", *CLOUDS):
        wheel = wheels[f"bleepstore-backend-{backend}"]
        assert f"bleepstore_backend_{backend}/py.typed" in names(wheel)
        assert f"{backend} = bleepstore_backend_{backend}.plugin:plugin" in entry_points(wheel)


def test_no_test_and_no_cloud_sdk_comes_along(environment, wheels):
    assert not any("tests/" in file for wheel in wheels.values() for file in names(wheel))
    listed = json.loads(run(str(environment / "python"), "-m", "pip", "list", "--format", "json"))
    installed = {item["name"].lower() for item in listed}
    assert installed >= {"bleepstore", "bleepstore-core", "bleepstore-backend-local"}
    assert installed.isdisjoint({"boto3", "botocore", "google-cloud-storage", "azure-storage-blob", "pytest"})


def test_the_installed_command_lists_its_plugins(environment, tmp_path):
    plugins = json.loads(run(str(environment / "bleepstore"), "plugins", "--json", cwd=tmp_path))
    assert {plugin["name"] for plugin in plugins} == {
        "admin",
        "auth",
        "s3",
        "sqlite",
        "transfer",
        "upkeep",
        "local",
    }
    assert all(plugin["active"] for plugin in plugins)


@pytest.fixture
def endpoint(environment: Path, tmp_path: Path) -> Iterator[str]:
    """A server of the installed command."""
    log = tmp_path / "log"
    with log.open("w") as file:
        command = [str(environment / "bleepstore"), "serve", "data", "--port", "0", "--bucket", "bucket"]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"endpoint +(\S+)\n", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.01)
        yield found[1]
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_the_installed_command_serves(environment, endpoint, tmp_path):
    def presigned(method: str) -> str:
        command = ("presign", method, "s3://bucket/key", "--endpoint", endpoint)
        return run(str(environment / "bleepstore"), *command, cwd=tmp_path).strip()

    body = os.urandom(200_000)
    with urlopen(Request(presigned("put"), data=body, method="PUT"), timeout=30) as reply:
        assert reply.status == 200
    with urlopen(presigned("get"), timeout=30) as reply:
        assert reply.read() == body
