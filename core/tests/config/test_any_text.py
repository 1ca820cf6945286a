"""Whatever a file or a variable holds, the answer is settings or one line."""

from pathlib import Path

import pytest
from bleepstore.config import Choices, ConfigError, load
from bleepstore.discovery import discover
from hypothesis import given
from hypothesis import strategies as st

CHOICES = Choices.of(discover().manager.hook)
PIECES = st.sampled_from(
    [
        *(
            "server",
            "auth",
            "users",
            "port",
            "access_key",
            "secret_key",
            "storage",
            "local",
            "root_dir",
            "tls",
        ),
        *(
            ":",
            ": ",
            "\n",
            "\n  ",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "=",
            '"',
            "'",
            "#",
            "&a",
            "*a",
            "!",
            "|",
        ),
        *(
            "9000",
            "-1",
            "1e5",
            "true",
            "null",
            "~",
            "2020-01-01",
            "0x1f",
            "é",
            "\x00",
            "<<",
            "?",
            "%",
            "@",
            "`",
        ),
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


def outcome(path: Path | None, environ: dict[str, str]) -> None:
    try:
        load(path, environ=environ, choices=CHOICES)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
@given(text=TEXTS)
def test_any_text_in_a_file(folder, suffix, text):
    path = folder / f"any.{suffix}"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    outcome(path, {})


@given(
    text=TEXTS,
    name=st.sampled_from(["SERVER_PORT", "AUTH_USERS", "SERVER_DOMAINS", "STORAGE_LOCAL_ROOT_DIR"]),
)
def test_any_text_in_a_variable(text, name):
    outcome(None, {f"BLEEPSTORE_{name}": text})
