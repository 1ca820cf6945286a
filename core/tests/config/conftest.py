"""How the tests of the configuration load one: a text as a file, variables, options."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from bleepstore.config import Choices, Configuration, load
from bleepstore.discovery import discover

Load = Callable[..., Configuration]


@pytest.fixture(scope="session")
def choices() -> Choices:
    """What the installed plugins bring: ``storage.local`` and ``metadata.sqlite``."""
    return Choices.of(discover().manager.hook)


@pytest.fixture
def load_text(tmp_path: Path, choices: Choices, monkeypatch: pytest.MonkeyPatch) -> Load:
    """``load_text(TEXT, toml=False, environ={}, overrides={})``; the file is called ``c.yaml``."""
    monkeypatch.chdir(tmp_path)

    def load_it(
        text: str | None = None,
        *,
        toml: bool = False,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        more: Choices = choices,
    ) -> Configuration:
        path = None
        if text is not None:
            path = Path("c.toml" if toml else "c.yaml")
            path.write_text(text, encoding="utf-8")
        return load(path, environ=environ or {}, overrides=overrides, choices=more)

    return load_it
