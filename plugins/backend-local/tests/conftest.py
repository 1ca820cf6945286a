import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from bleepstore.storage import Blob
from bleepstore_backend_local.backend import LocalBackend

pytest.register_assert_rewrite("bleepstore.testing.storage", "bleepstore.testing.plugin_hygiene")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
async def storage(root: Path) -> AsyncIterator[LocalBackend]:
    """A started backend."""
    from bleepstore.testing.storage import STORE

    storage = LocalBackend(root)
    await storage.start(STORE, fresh=True)
    yield storage
    await storage.stop()


@pytest.fixture
def put(storage: LocalBackend) -> Callable[[bytes], Awaitable[Blob]]:
    async def put(data: bytes) -> Blob:
        staged = await storage.stage(secrets.token_hex(16))
        await staged.write(data)
        blob = await staged.publish()
        await staged.settle()
        return blob

    return put


@pytest.fixture
def read(storage: LocalBackend) -> Callable[..., Awaitable[bytes]]:
    async def read(blob: Blob, start: int = 0, length: int | None = None) -> bytes:
        reader = await storage.open(blob, start, length)
        try:
            return b"".join([piece async for piece in reader])
        finally:
            await reader.close()

    return read


@pytest.fixture
def files(root: Path) -> Callable[[], list[str]]:
    """The names of files that are or may become blobs."""

    def files() -> list[str]:
        found = (path for part in ("tmp", "blobs") for path in (root / part).rglob("*"))
        return sorted(path.name for path in found if path.is_file())

    return files


@pytest.fixture
def in_flight(root: Path) -> Callable[[], list[str]]:
    """The names in all journals."""

    def in_flight() -> list[str]:
        return sorted(name for path in (root / "journal").iterdir() for name in path.read_text().split())

    return in_flight
