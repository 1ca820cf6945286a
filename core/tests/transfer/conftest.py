"""Stores of their own for each test, commands that run over them, and an upstream in memory."""

import asyncio
import io
import sys
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from bleepstore.app import StartFailed, open_store
from bleepstore.discovery import Plugins, discover
from bleepstore.exchange import Services
from bleepstore.metadata import ObjectRecord
from bleepstore.plugin import StorageSpec, hookimpl
from bleepstore.settings import MetadataSettings, Settings, StorageSettings
from bleepstore.sqlite.plugin import SqliteSettings
from bleepstore.testing.memory_native import NativeMemoryBackend
from bleepstore.testing.memory_upstream import Upstream
from bleepstore.transfer.plugin import plugin
from bleepstore_backend_local.plugin import LocalSettings

T = TypeVar("T")


class Cloud:
    """A plugin with a cloud that is in memory."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    @hookimpl
    def bleepstore_storage_backends(self) -> Iterable[StorageSpec]:
        return (StorageSpec(name="cloud", build=lambda context: NativeMemoryBackend(self.upstream)),)


@dataclass
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Place:
    """One store, over an upstream or a local directory."""

    def __init__(self, folder: Path, backend: str, upstream: Upstream, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.upstream, self._patch = folder, upstream, patch
        sections = {
            "metadata.sqlite": SqliteSettings(path=folder / "metadata.db"),
            "storage.local": LocalSettings(root_dir=folder / "objects"),
        }
        self.settings = Settings(
            sections=sections,
            storage=StorageSettings(backend=backend),
            metadata=MetadataSettings(durability="relaxed"),
        )
        self._plugins = self._discover()

    def _discover(self) -> Plugins:
        plugins = discover(("aws", "azure", "gcp"))
        plugins.manager.register(Cloud(self.upstream), "cloud")
        return plugins

    def run(self, name: str, *options: object, terminal: bool = False) -> Ran:
        """A command, as the command line runs it."""
        (spec,) = (spec for spec in plugin.bleepstore_commands() if spec.name == name)
        parser = ArgumentParser()
        parser.set_defaults(directory=None)
        spec.configure(parser)
        arguments = parser.parse_args([str(option) for option in options])
        arguments.open_store = partial(open_store, self.settings, self._plugins)
        out, err = io.StringIO(), io.StringIO()
        err.isatty = lambda: terminal  # type: ignore[method-assign]
        with self._patch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                code = spec.run(arguments)
            except StartFailed as error:  # the command line says so
                code, _ = 2, err.write(f"bleepstore: {error}\n")
        return Ran(code, out.getvalue(), err.getvalue())

    def do(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Something with the open store."""

        async def run() -> T:
            async with open_store(self.settings, self._plugins, create=True) as services:
                return await work(services)

        return asyncio.run(run())

    def row(self, bucket: str, key: str) -> ObjectRecord | None:
        """The row of an object."""

        async def read(services: Services) -> ObjectRecord | None:
            return (await services.metadata.object(bucket, key, data=True))[1]

        return self.do(read)

    def rows(self, bucket: str) -> dict[str, ObjectRecord]:
        """The rows of a bucket by key."""
        return {key: found for key in self.keys(bucket) if (found := self.row(bucket, key)) is not None}

    def keys(self, bucket: str) -> list[str]:
        """The keys of a bucket, in order."""
        from bleepstore.transfer.listing import all_rows

        async def read(services: Services) -> list[str]:
            found = await services.metadata.bucket(bucket)
            return [entry.key async for entry in all_rows(services, found)] if found is not None else []

        return self.do(read)

    def contents(self, bucket: str) -> dict[str, tuple[ObjectRecord, bytes]]:
        """Rows and bytes of all objects by key."""
        from bleepstore.transfer.listing import all_rows
        from bleepstore.transfer.verifying import read

        async def read_all(services: Services) -> dict[str, tuple[ObjectRecord, bytes]]:
            found, contents = await services.metadata.bucket(bucket), {}
            if found is not None:
                async for entry in all_rows(services, found):
                    row = (await services.metadata.object(bucket, entry.key))[1]
                    assert row is not None
                    contents[row.key] = row, b"".join([piece async for piece in read(services, row)])
            return contents

        return self.do(read_all)

    def data(self, bucket: str, key: str) -> bytes:
        """The bytes of an object."""
        from bleepstore.transfer.verifying import read

        async def bytes_of(services: Services) -> bytes:
            found = (await services.metadata.object(bucket, key))[1]
            assert found is not None
            return b"".join([piece async for piece in read(services, found)])

        return self.do(bytes_of)


@pytest.fixture
def upstream() -> Upstream:
    """Override it for clouds that do other things."""
    return Upstream()


@pytest.fixture
def make_place(tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Place]:
    """``make_place(NAME, backend="cloud")``: a store of its own, all clouds of one upstream."""

    def make(name: str = "store", backend: str = "cloud") -> Place:
        return Place(tmp_path / name, backend, upstream, monkeypatch)

    return make


@pytest.fixture(params=["local", "cloud"])
def place(request: pytest.FixtureRequest, make_place: Callable[..., Place]) -> Place:
    """A store over each kind of backend."""
    return make_place(backend=request.param)


@pytest.fixture
def cloud(make_place: Callable[..., Place]) -> Place:
    """A store in front of the upstream."""
    return make_place()


@pytest.fixture
def files() -> Callable[[Path], dict[str, bytes]]:
    """``files(ROOT)``: every file below, with its bytes."""

    def of(root: Path) -> dict[str, bytes]:
        found = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}

    return of
