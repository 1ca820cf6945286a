"""``bleepstore plugin new``: what it writes, and what it refuses. That it works when it is installed is
shown by ``tests/install/test_third_parties.py``.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bleepstore.cli import main
from bleepstore.skeleton.distribution import LONGEST, Skeleton

KINDS = pytest.mark.parametrize("kind", [(), ("--native",)], ids=["opaque", "native"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@KINDS
def test_distribution_is_written_with_all_names_in_place(folder, capsys, kind):
    assert main(["plugin", "new", "backend", "deep_shelf", *kind]) == 0
    assert "pip install -e '.[test]' && pytest" in capsys.readouterr().out
    written = files(folder / "bleepstore-backend-deep-shelf")
    assert {
        *("README.md", "pyproject.toml", "tests/test_contract.py"),
        *(f"src/bleepstore_backend_deep_shelf/{name}" for name in ("py.typed", "plugin.py", "backend.py")),
    } <= set(written)
    assert not [path for path, text in written.items() if re.search(r"@[A-Z]+@", path + text)]
    assert 'deep_shelf = "bleepstore_backend_deep_shelf.plugin:plugin"' in written["pyproject.toml"]
    assert "class DeepShelfBackend(" in written["src/bleepstore_backend_deep_shelf/backend.py"]


@KINDS
@pytest.mark.parametrize("name", ["x", "shelf", "deep_shelf"])
def test_what_is_written_is_formatted_linted_and_typed(folder, kind, name):
    assert main(["plugin", "new", "backend", name, "made", *kind]) == 0
    commands = [("ruff", "format", "--check", "."), ("ruff", "check", "."), ("mypy", "src")]
    for command in commands if name == "shelf" else commands[:2]:
        arguments = [sys.executable, "-m", *command]
        done = subprocess.run(arguments, cwd="made", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", ["", "Shelf", "my-shelf", "1shelf", "_shelf", "shelf_", "a__b", "päckchen", "a b", "a/b", "../a",
             "x" * (LONGEST + 1), "import", "a\n"]
)  # fmt: skip
def test_name_that_cannot_be_one_is_refused(folder, capsys, name):
    assert main(["plugin", "new", "backend", name, "made"]) == 2
    assert "a backend's name is a-z" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_name_of_an_installed_plugin_is_refused(folder, capsys):
    assert main(["plugin", "new", "backend", "local"]) == 2
    assert capsys.readouterr().err == "bleepstore: local: bleepstore-backend-local is a plugin of that name\n"
    assert list(folder.iterdir()) == []


def test_folder_with_something_in_it_is_left_as_it_is(folder, capsys):
    place = folder / "made"
    place.mkdir()
    (place / "file").write_text("mine")
    assert main(["plugin", "new", "backend", "shelf", "made"]) == 2
    assert capsys.readouterr().err == "bleepstore: made: exists already\n"
    assert files(folder) == {"made/file": "mine"}


def test_file_in_its_place_is_left_as_it_is(folder, capsys):
    (folder / "made").write_text("mine")
    assert main(["plugin", "new", "backend", "shelf", "made"]) == 2
    assert capsys.readouterr().err == "bleepstore: made: exists already\n"
    assert main(["plugin", "new", "backend", "shelf", "made/inside"]) == 2
    assert capsys.readouterr().err.startswith("bleepstore: made/inside: ")
    assert files(folder) == {"made": "mine"}


def test_folder_that_is_empty_or_whose_parents_are_missing_is_made(folder):
    (folder / "made").mkdir()
    assert main(["plugin", "new", "backend", "shelf", "made"]) == 0
    assert main(["plugin", "new", "backend", "shelf", "far/away/made"]) == 0
    assert files(folder / "made") == files(folder / "far/away/made") == dict(Skeleton("shelf").texts())


def test_failure_half_way_leaves_nothing(folder, monkeypatch, capsys):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    assert main(["plugin", "new", "backend", "shelf", "made"]) == 2
    assert capsys.readouterr().err == "bleepstore: made: No space left on device\n"
    assert list(folder.iterdir()) == []
