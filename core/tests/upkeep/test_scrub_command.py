"""What ``bleepstore scrub`` prints: for people, for programs, and on a terminal."""

import io
import json
import sys
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bleepstore.exchange import Services
from bleepstore.metadata import Holder, MetadataUnavailable
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.storage import BackendFailed
from bleepstore.testing.memory import MemoryBackend
from bleepstore.testing.memory_native import NativeMemoryBackend
from bleepstore.testing.metadata import Store
from bleepstore.upkeep import command
from bleepstore.upkeep.scrub import Finding, Kind
from bleepstore.upkeep.texts import describe


@pytest.fixture
def scrub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``scrub(*OPTIONS, storage=..., terminal=...)``: exit code, standard output, standard error."""

    def scrub(*options: str, storage: Any = None, terminal: bool = False) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        err.isatty = lambda: terminal  # type: ignore[method-assign]

        @asynccontextmanager
        async def open_store() -> AsyncIterator[Services]:
            store = Store(lambda: SqliteEngine(tmp_path / "metadata.db", durable=False, token="one"))
            await store.open()
            if store.engine.fresh:
                await store.put(await store.make_bucket(), "lost\x1b[2J", blob="0" * 32)
            nothing: Any = None
            yield Services(
                settings=nothing,
                accounts=nothing,
                metadata=store.engine,
                storage=storage or MemoryBackend(),
                authenticators=(),
                authorizers=(),
                clock=lambda: 0,
                new_id=lambda: "",
            )
            await store.close()

        parser = ArgumentParser()
        command.configure(parser)
        arguments = parser.parse_args(options)
        arguments.open_store = open_store
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = command.run(arguments)
        return code, out.getvalue(), err.getvalue()

    return scrub


def test_findings_are_a_line_each_and_no_key_moves_the_cursor(scrub):
    assert scrub() == (
        1,
        f"missing {'0' * 32} of bucket/lost\\x1b[2J: is not there\n"
        "scrubbed 0 blobs (0.0 MiB) and 0 inline objects (0.0 MiB): 1 missing\n",
        "",
    )


def test_json_is_an_object_a_line_with_the_key_as_it_is(scrub):
    code, out, err = scrub("--json")
    finding, summary = map(json.loads, out.splitlines())
    assert (code, err) == (1, "")
    assert finding == {
        "kind": "missing",
        "blob": "0" * 32,
        "detail": "is not there",
        "holders": [{"bucket": "bucket", "key": "lost\x1b[2J", "version": None, "upload": None}],
        "moved": None,
    }
    assert (summary["kind"], summary["missing"], summary["damaged"]) == ("summary", 1, 0)


def test_terminal_sees_how_far_it_is_and_in_the_end_only_what_was_found(scrub):
    code, out, err = scrub(terminal=True)
    assert code == 1
    assert "0%  scrubbed 0 blobs" in err
    assert err.endswith("\r\x1b[K")
    assert out == scrub()[1]


def test_backend_that_cannot_be_scrubbed_is_code_2(scrub):
    assert scrub(storage=NativeMemoryBackend()) == (
        2,
        "",
        "bleepstore: the storage backend cannot be scrubbed\n",
    )


@pytest.mark.parametrize("error", [BackendFailed("a folder\nis gone"), MetadataUnavailable("malformed")])
def test_scrub_that_cannot_go_on_is_one_line_and_code_2(scrub, error):
    class Broken(MemoryBackend):
        async def names(self, endings: range) -> list[str]:
            raise error

    assert scrub("--trash", storage=Broken()) == (2, "", f"bleepstore: {' '.join(str(error).split())}\n")


def test_line_names_few_of_many_objects_and_where_a_blob_is_now():
    holders = [Holder(blob="b", bucket="bucket", key=str(n)) for n in range(7)]
    holders[1] = Holder(blob="b", bucket="bucket", key="1", upload="u")
    finding = Finding(
        kind=Kind.DAMAGED, blob="b", detail="cut short", holders=tuple(holders), moved="quarantine/b"
    )
    assert describe(finding) == (
        "damaged b of bucket/0, bucket/1 (upload u), bucket/2, bucket/3, bucket/4 and 2 more: cut short; "
        "moved to quarantine/b"
    )
