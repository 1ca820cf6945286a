"""A server, nginx with TLS before it, and clients that know only the name of the site."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.client import Config
from endpoint import Authority
from nginx import ADDRESS, SITE, Nginx
from server_process import FIRST, Account, ServerProcess

MakeClient = Callable[..., Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"server": {"trusted_proxies": [ADDRESS], "domains": [SITE]}}
    server = ServerProcess(tmp_path_factory.mktemp("server"), settings=settings)
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="session")
def proxy(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    authority = Authority.issue(tmp_path_factory.mktemp("authority"))
    nginx = Nginx.start(tmp_path_factory.mktemp("nginx"), authority, server.port)
    try:
        yield nginx
    finally:
        status = nginx.stop()
    assert status == 0
    assert "[alert]" not in nginx.log.read_text()


@pytest.fixture(scope="session")
def make_client(proxy: Nginx) -> MakeClient:
    """``make_client(port=None, account=FIRST, style="path")``: a client that asks ``https://SITE``."""

    def make(port: int | None = None, account: Account = FIRST, style: str = "path") -> Any:
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=f"https://{SITE}",
            verify=str(proxy.ca),
            region_name="us-east-1",
            aws_access_key_id=account.access_key,
            aws_secret_access_key=account.secret_key,
            config=Config(
                signature_version="s3v4", retries={"total_max_attempts": 1}, s3={"addressing_style": style}
            ),
        )

        def connect_to_proxy(request: Any, **_: Any) -> None:
            signed = urlsplit(request.url)
            request.headers["Host"] = signed.netloc
            request.url = signed._replace(netloc=f"127.0.0.1:{port or proxy.port}").geturl()

        client.meta.events.register("before-send.s3", connect_to_proxy)
        return client

    return make


@pytest.fixture(scope="session", params=["host", "forwarded host"])
def s3(request: pytest.FixtureRequest, proxy: Nginx, make_client: MakeClient) -> Any:
    """The first account's client, through either way of passing on what was asked."""
    return make_client(proxy.port if request.param == "host" else proxy.forwarding_port)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"proxied-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=name)
    return name
