"""Health and schemas, called as ASGI applications are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from bleepstore.admin.routes import routes
from bleepstore.metadata import MetadataUnavailable
from starlette.applications import Starlette
from starlette.routing import Route

pytestmark = pytest.mark.anyio
SCHEMA = Path(__file__).parents[3] / "schemas" / "admin-api.openapi.yaml"


def services(fault: Exception | None = None) -> Any:
    async def bucket(name: str) -> None:
        if fault is not None:
            raise fault

    return SimpleNamespace(metadata=SimpleNamespace(bucket=bucket))


async def get(path: str, given: Any) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=routes(given)))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.get(path)


async def test_live_answers_without_a_signature():
    reply = await get("/_bleepstore/health/live", services())
    assert (reply.status_code, reply.json()) == (200, {"status": "live"})


async def test_ready_answers_when_the_metadata_does():
    reply = await get("/_bleepstore/health/ready", services())
    assert (reply.status_code, reply.json()) == (200, {"status": "ready"})


async def test_ready_says_why_it_is_not():
    reply = await get("/_bleepstore/health/ready", services(MetadataUnavailable("the disk is read-only")))
    assert reply.status_code == 503
    assert reply.json() == {"status": "unavailable", "reason": "the disk is read-only"}


async def test_s3_schema_is_served():
    reply = await get("/_bleepstore/openapi/s3.yaml", services())
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("application/yaml")
    assert "PutObject" in reply.text


def test_schema_and_routes_name_the_same_paths():
    served = {route.path for route in routes(services()) if isinstance(route, Route)}
    assert served == set(yaml.safe_load(SCHEMA.read_text())["paths"])


def test_schema_is_valid():
    from openapi_spec_validator import validate

    validate(yaml.safe_load(SCHEMA.read_text()))
