"""Every hook, exercised by a plugin of a third party: ``example_plugin``, which the docs quote.

The last tests hold the list of hooks, the tests of this module and the code on ``specs/plugin-api.md``
together; ``test_published`` holds what is made of that page.
"""

import ast
import asyncio
import json
import re
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from bleepstore import hookspecs
from bleepstore.app import App, StartFailed, create_app
from bleepstore.cli import main
from bleepstore.config import Choices, ConfigError, load
from bleepstore.discovery import Plugins, discover
from bleepstore.settings import Settings
from importlib_metadata import EntryPoint, entry_points

EXAMPLE = Path(__file__).parent / "example_plugin"
PAGE = Path(__file__).parents[2] / "specs" / "plugin-api.md"
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("bleepstore_")}
TOKEN = "a-token-of-some-length"

pytestmark = pytest.mark.anyio

Serve = Callable[..., AbstractAsyncContextManager[tuple[App, httpx.AsyncClient]]]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Everything that is installed, and the example."""
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    point = EntryPoint("example", "bleepstore_example.plugin:plugin", "bleepstore")
    return discover(found=[*entry_points(group="bleepstore"), point])


@pytest.fixture
def settings(plugins: Plugins, tmp_path: Path) -> Callable[..., Settings]:
    """``settings(example={...}, metadata={...})``: the configuration with these sections."""

    def make(**sections: Any) -> Settings:
        tree = {
            "metadata": {"engine": "scratch"},
            "storage": {"backend": "shelf", "shelf": {"label": "top"}},
            **sections,
        }
        path = tmp_path / "bleepstore.yaml"
        path.write_text(json.dumps(tree))
        return load(path, environ={}, choices=Choices.of(plugins.manager.hook)).settings

    return make


@pytest.fixture
def serve(plugins: Plugins, settings: Callable[..., Settings]) -> Serve:
    """``async with serve(example={...}) as (app, client)``: whoever shows the token is an account."""

    @asynccontextmanager
    async def running(**sections: Any) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
        sections["example"] = {"token": TOKEN, **sections.get("example", {})}
        app = create_app(settings(**sections), plugins)
        await app.start()
        transport = httpx.ASGITransport(app=app)
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://s3", headers=headers) as client:
            try:
                yield app, client
            finally:
                await app.stop()

    return running


async def wait_for(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it gives something."""
    async with asyncio.timeout(10):
        while not (found := condition()):
            await asyncio.sleep(0.01)
    return found


async def test_storage_backends_are_chosen_by_name(serve):
    async with serve() as (app, client):
        assert app.services.storage.label == "top"
        big = b"x" * 100_000  # more than fits into the metadata
        assert (await client.put("/bucket")).status_code == 200
        assert (await client.put("/bucket/key", content=big)).status_code == 200
        assert list(app.services.storage.memory.blobs.values()) == [big]
        assert (await client.get("/bucket/key")).content == big


async def test_metadata_engines_are_chosen_by_name(serve):
    async with serve() as (app, client):
        assert type(app.services.metadata).__name__ == "ScratchEngine"
        assert (await client.put("/bucket")).status_code == 200


async def test_sections_are_read_and_checked(settings):
    example = settings(example={"frozen": ["a", "b"], "journal": "j"}).sections["example"]
    assert example.frozen == ("a", "b")
    assert example.journal.is_absolute()
    with pytest.raises(ConfigError, match=r"yaml:1: example\.frozn: .* did you mean example\.frozen\?$"):
        settings(example={"frozn": []})
    with pytest.raises(ConfigError, match=r"^storage\.shelf\.label: must be given$"):
        settings(storage={"backend": "shelf"})


async def test_commands_are_subcommands(monkeypatch, capsys, plugins, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bleepstore.discovery.discover", lambda *_, **__: plugins)
    assert main(["greet", "you"]) == 0
    assert capsys.readouterr().out == "hello you\n"
    assert main([]) == 2
    assert re.search(r"^ +greet +say hello$", capsys.readouterr().out, re.MULTILINE)


async def test_authenticators_find_who_asks(serve):
    async with serve() as (_, client):
        assert (await client.get("/")).status_code == 200
        wrong = {"authorization": "Bearer something-else"}
        reply = await client.get("/", headers=wrong)
        assert reply.status_code == 403
        assert "<Code>AccessDenied</Code>" in reply.text


async def test_authorizers_can_deny_what_others_allow(serve):
    async with serve(example={"frozen": ["cold"]}, buckets=["cold", "warm"]) as (_, client):
        assert (await client.put("/warm/key", content=b"1")).status_code == 200
        assert (await client.put("/cold/key", content=b"1")).status_code == 403
        assert (await client.delete("/cold")).status_code == 403
        assert (await client.get("/cold")).status_code == 200


async def test_operations_are_rows_beside_the_built_in_ones(serve):
    async with serve(buckets=["bucket"]) as (_, client):
        reply = await client.get("/bucket?greeting")
        assert (reply.status_code, reply.text) == (200, "hello from bucket")
        assert (await client.get("/absent?greeting")).status_code == 404
        del client.headers["authorization"]
        assert (await client.get("/bucket?greeting")).status_code == 403


async def test_address_resolvers_are_asked_first(serve):
    async with serve(buckets=["bucket"]) as (_, client):
        assert (await client.put("/~bucket/a%20key", content=b"1")).status_code == 200
        assert (await client.get("/bucket/a%20key")).content == b"1"


async def test_exchange_wrappers_are_around_every_handler(serve):
    async with serve(buckets=["bucket"]) as (_, client):
        assert (await client.get("/")).headers["x-example-operation"] == "ListBuckets"
        assert (await client.get("/bucket?greeting")).headers["x-example-operation"] == "GetBucketGreeting"


async def test_routes_are_below_their_own_path(serve):
    async with serve(buckets=["one", "two"]) as (_, client):
        assert (await client.get("/_bleepstore/example/buckets")).text == "2"
        assert (await client.get("/_bleepstore/health/live")).status_code == 200


async def test_asgi_wrappers_are_around_the_routes_and_not_around_s3(serve):
    async with serve() as (_, client):
        live = await client.get("/_bleepstore/health/live")
        assert live.headers["cache-control"] == "no-store"
        assert "cache-control" not in (await client.get("/")).headers


async def test_background_tasks_run_beside_requests(serve):
    async with serve(example={"inbox": "inbox"}) as (_, client):
        async with asyncio.timeout(10):
            while (await client.head("/inbox")).status_code != 200:
                await asyncio.sleep(0.01)


async def test_event_sinks_get_what_changed(serve, tmp_path, monkeypatch):
    monkeypatch.setattr("bleepstore.upkeep.events.INTERVAL", 0.01)
    journal = tmp_path / "journal"
    async with serve(example={"journal": str(journal)}, buckets=["bucket"]) as (app, client):
        # Events are kept for sinks that follow: from when the delivery has begun.
        await wait_for(lambda: app.services.metadata.is_writer)
        lines: list[str] = []
        async with asyncio.timeout(10):
            while not lines:
                assert (await client.put("/bucket/key", content=b"123")).status_code == 200
                lines = journal.read_text().splitlines()
        event = json.loads(lines[0])
        assert (event["name"], event["bucket"], event["key"], event["size"]) == (
            "s3:ObjectCreated:Put",
            "bucket",
            "key",
            3,
        )


async def test_start_runs_before_the_first_request_and_may_refuse(serve, tmp_path):
    journal = tmp_path / "journal"
    async with serve(example={"journal": str(journal)}):
        assert journal.exists()
    refused = r"^plugin example: bleepstore_start failed: ValueError: example\.token: must have 8 characters"
    with pytest.raises(StartFailed, match=refused):
        async with serve(example={"token": "short"}):
            pass


async def test_stop_runs_once_also_after_a_failed_start(serve, tmp_path, plugins, settings):
    journal = tmp_path / "journal"
    async with serve(example={"journal": str(journal)}):
        assert journal.exists()
    assert not journal.exists()
    journal.touch()
    app = create_app(settings(example={"token": "short", "journal": str(journal)}), plugins)
    with pytest.raises(StartFailed):
        await app.start()
    assert not journal.exists()
    await app.stop()


async def test_two_servers_share_nothing_of_a_plugin(serve, settings, plugins):
    async with serve(buckets=["here"]) as (_, client):
        other = create_app(replace(settings(), buckets=("there",)), plugins)
        await other.start()
        assert (await client.get("/there?greeting")).status_code == 404
        assert await other.services.metadata.bucket("here") is None
        await other.stop()


# --- the list of hooks, the tests and the page ------------------------------------------------------


def test_every_hook_has_a_test_here():
    tests = [name for name in globals() if name.startswith("test_")]
    untested = [
        hook
        for hook in HOOKS
        if not any(name.startswith("test_" + hook.removeprefix("bleepstore_")) for name in tests)
    ]
    assert untested == []


def test_the_example_implements_every_hook(plugins):
    (example,) = (plugin for plugin in plugins.inventory if plugin.name == "example")
    assert {f"bleepstore_{name}" for name in example.registers} == set(HOOKS)


def test_the_hooks_are_typed_and_have_one_sentence():
    for name, hook in HOOKS.items():
        assert "return" in hook.__annotations__, name
        assert (hook.__doc__ or "").strip().endswith("."), name


SOURCES = [path.read_text() for path in [*sorted(EXAMPLE.rglob("*.py")), EXAMPLE / "pyproject.toml"]]
QUOTED = re.findall(r"^```(?:python|toml)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", QUOTED, ids=lambda block: block.strip().splitlines()[0][:60])
def test_the_page_quotes_code_that_is_tested(block):
    if block.startswith("def bleepstore_") and len(block.splitlines()) == 1:
        return  # the signature of a hook, made by schemas/plugin_api.py
    assert any(block in source or textwrap.indent(block, "    ") in source for source in SOURCES)


def test_the_page_quotes_something():
    assert len(QUOTED) > len(HOOKS)


def test_the_example_imports_what_is_published_and_nothing_else():
    published = {
        *(
            "plugin",
            "settings",
            "secret",
            "storage",
            "native",
            "metadata",
            "commands",
            "operations",
            "exchange",
        ),
        *("errors", "events", "sqlite", "testing"),
    }
    for source in SOURCES[:-1]:
        for node in ast.walk(ast.parse(source)):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if module.startswith("bleepstore."):
                assert module.split(".")[1] in published
