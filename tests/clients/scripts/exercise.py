"""What every script shares: where the server is, the common exercise, and how to report.

Only the standard library: this runs in each client's own environment. A script prints JSON lines:
``{"done": OPERATION}``, ``{"failed": OPERATION, "why": ...}``, ``{"stored": KEY, "md5": ...}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import sys
import traceback
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

URL = os.environ["BLEEPSTORE_TEST_URL"]
HOST = URL.partition("://")[2]
SECURE = URL.startswith("https:")
BUCKET = os.environ["BLEEPSTORE_TEST_BUCKET"]
CA = os.environ.get("BLEEPSTORE_TEST_CA")
ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ["AWS_REGION"]

MIB = 1024 * 1024
SMALL = bytes(range(256)) * 4
LARGE = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(18 * MIB // 32)) + b"the end"
"""Over every client's limit for multipart uploads by default, unless a script says otherwise."""
AWKWARD_KEYS = {
    "space": "odd/with space",
    "plus": "odd/a+b",
    "percent": "odd/100%",
    "percent and digits": "odd/%41 percent",
    "equals": "odd/key=value&x=y",
    "unicode": "odd/grüße/日本語 🙂",
    "punctuation": "odd/m;c:a@e!$'(),~x",
    "double slash": "odd//double//slash",
}
MANY = [f"many/{n % 3}/{n:04}" for n in range(1500)]
"""1,500 keys in three folders of 500."""
METADATA = {"one": "1", "two-words": "a b, c"}

_failed = False


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


@contextmanager
def doing(operation: str) -> Iterator[None]:
    """One operation: done when the block ends, failed when it raises; the script goes on either way."""
    global _failed
    try:
        yield
    except Exception:
        _failed = True
        say(failed=operation, why=traceback.format_exc())
    else:
        say(done=operation)


def stored(key: str, body: bytes, bucket: str = BUCKET) -> None:
    """Claim that this object is there at the end of the script; the test reads it."""
    say(stored=key, md5=hashlib.md5(body, usedforsecurity=False).hexdigest(), bucket=bucket)


def same(found: object, expected: object) -> None:
    """An assertion that tells both sides, but not megabytes of them."""
    if found != expected:
        raise AssertionError(f"found {found!r:.600}, expected {expected!r:.600}")


def in_parallel(call: Any, arguments: list[Any]) -> list[Any]:
    """Call it with each, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(call, arguments))


def fetch(url: str, body: bytes | None = None, **headers: str) -> bytes:
    """GET, or PUT a body, with the standard library: what a presigned URL is given to."""
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    context = ssl.create_default_context(cafile=CA) if CA else None
    with urllib.request.urlopen(request, context=context) as reply:
        assert reply.status == 200
        return reply.read()


def make_tree(folder: Path) -> dict[str, bytes]:
    """Files to synchronize, some with awkward names; what they are and hold.

    They are old: S3 tells times in whole seconds, so a file of this second looks newer than its copy there.
    """
    files = {f"{n}.txt": str(n).encode() * 100 for n in range(5)}
    files |= {"sub/deep/ü +%41 file.bin": SMALL, "sub/empty": b"", "sub/large.bin": LARGE[: 9 * MIB]}
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return files


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def exercise(client: Any) -> None:
    """Everything that ``client`` has a method for; each script's test says what must have been done.

    ``create_bucket()``, ``put(key, body)``, ``get(key)``, ``get_range(key, first, end)``, ``size(key)``,
    ``list(prefix)`` -> keys, ``folders(prefix)`` -> prefixes, ``copy(source, target)``, ``move``,
    ``delete(key)``, ``delete_many(keys)``, ``put_if_absent(key, body)`` -> whether it was,
    ``put_described(key, body, metadata)``, ``describe(key)`` -> metadata, ``presigned_get(key)``,
    ``presigned_put(key)`` -> URL, ``sync_up(folder, prefix)``, ``sync_down(prefix, folder)``;
    ``missing``: the exceptions that a missing key raises; ``cannot_name``: the awkward keys that the client
    itself refuses or rewrites before it sends anything.
    """
    can = lambda *names: all(hasattr(client, name) for name in names)  # noqa: E731
    if can("create_bucket"):
        with doing("create bucket"):
            client.create_bucket()
    for operation, key, body in (
        ("put small", "small", SMALL),
        ("put empty", "empty", b""),
        ("put large", "large", LARGE),
    ):
        with doing(operation):
            client.put(key, body)
            stored(key, body)
    _read(client, can)
    for name, key in AWKWARD_KEYS.items():
        if name in getattr(client, "cannot_name", ()):
            continue
        with doing(f"key with {name}"):
            _awkward(client, can, key)
    _copy(client, can)
    if can("put_described"):
        with doing("metadata"):
            client.put_described("described", SMALL, METADATA)
            same(client.describe("described"), METADATA)
            stored("described", SMALL)
    if can("put_if_absent"):
        with doing("put if absent"):
            same([client.put_if_absent("once", b"1"), client.put_if_absent("once", b"2")], [True, False])
            stored("once", b"1")
    for key in list(AWKWARD_KEYS.values())[3:6]:
        if can("presigned_get"):
            with doing("presigned GET"):
                same(fetch(client.presigned_get(key)), key.encode())
        if can("presigned_put"):
            with doing("presigned PUT"):
                fetch(client.presigned_put(f"by url/{key}"), key.encode())
                stored(f"by url/{key}", key.encode())
    _synchronize(client, can)
    _many(client, can)


def _read(client: Any, can: Any) -> None:
    with doing("get"):
        same(client.get("small"), SMALL)
        same(client.get("empty"), b"")
    with doing("get large"):
        same(client.get("large"), LARGE)
    if can("get_range"):
        with doing("get ranged"):
            same(client.get_range("small", 10, 20), SMALL[10:20])
            same(client.get_range("large", 9000000, 9000100), LARGE[9000000:9000100])
            same(client.get_range("large", len(LARGE) - 5, len(LARGE)), LARGE[-5:])
    if can("size"):
        with doing("size"):
            same([client.size(key) for key in ("small", "empty", "large")], [len(SMALL), 0, len(LARGE)])
    if can("missing"):
        with doing("get what is missing"):
            try:
                client.get("no such key")
            except client.missing:
                return
            raise AssertionError("a missing key was read")


def _awkward(client: Any, can: Any, key: str) -> None:
    client.put(key, key.encode())
    same(client.get(key), key.encode())
    if can("list"):
        assert key in client.list("odd/"), client.list("odd/")
    stored(key, key.encode())
    if can("copy"):
        client.copy(key, f"copies/{key}")
        stored(f"copies/{key}", key.encode())
    if can("delete"):
        client.put(f"gone/{key}", b"")
        client.delete(f"gone/{key}")
        if can("list"):
            same(client.list("gone/"), [])


def _copy(client: Any, can: Any) -> None:
    if can("copy"):
        with doing("copy large"):
            client.copy("large", "copies/large")
            stored("copies/large", LARGE)
    if can("move"):
        with doing("move"):
            client.put("to move", SMALL)
            client.move("to move", "moved")
            stored("moved", SMALL)
            if can("list"):
                same(client.list("to move"), [])


def _synchronize(client: Any, can: Any) -> None:
    if can("sync_up"):
        source = Path("source")
        files = make_tree(source)
        with doing("sync up"):
            client.sync_up(source, "tree")
            for name, body in files.items():
                stored(f"tree/{name}", body)
        if can("sync_down"):
            with doing("sync down"):
                target = Path("target")
                target.mkdir()
                client.sync_down("tree", target)
                same(read_tree(target), files)


def _many(client: Any, can: Any) -> None:
    if not can("list"):
        return
    if can("put_many"):
        client.put_many(MANY)
    else:
        in_parallel(lambda key: client.put(key, b"0"), MANY)
    with doing("list 1500 keys"):
        same(client.list("many/"), sorted(MANY))
    if can("folders"):
        with doing("list with a delimiter"):
            same(client.folders("many/"), ["many/0/", "many/1/", "many/2/"])
    if can("delete_many"):
        with doing("delete many"):
            client.delete_many(MANY)
            same(client.list("many/"), [])


def finish() -> None:
    """End the script with a status that says whether everything was done."""
    sys.exit(1 if _failed else 0)
