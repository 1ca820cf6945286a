"""A server, a browser, and pages of two origins that are not the server's."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.client import Config
from server_process import FIRST, ServerProcess
from webdriver import Browser

ASK = """
async function ask(url, options) {
  let reply;
  try {
    reply = await fetch(url, options);
  } catch (error) {
    return {refused: error.name};
  }
  const headers = Object.fromEntries(reply.headers.entries());
  return {status: reply.status, headers, type: reply.type, text: await reply.text()};
}
"""
"""In every page: what a script sees of a reply, or that the browser does not let it see any."""


@dataclass
class Pages:
    """A web server; scripts of its pages are of its origin."""

    origin: str
    made: dict[str, str] = field(default_factory=dict)

    def make(self, content: str = "") -> str:
        """The URL of a new page with this in its body."""
        name = f"/{uuid.uuid4().hex}"
        self.made[name] = f"<!doctype html><title>page</title><script>{ASK}</script><body>{content}</body>"
        return self.origin + name


def _pages() -> Iterator[Pages]:
    pages = Pages("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.made.get(self.path.partition("?")[0], "").encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield pages
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def app() -> Iterator[Pages]:
    """The site that the rules of :func:`bucket` are about."""
    yield from _pages()


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Pages]:
    """Another site."""
    yield from _pages()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="session")
def s3(server: ServerProcess) -> Any:
    """The client that makes presigned URLs and forms, and looks at what came of them."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=server.url,
        region_name=server.region,
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


@pytest.fixture
def make_bucket(s3: Any) -> Callable[..., str]:
    """``make_bucket(*rules)``: a new bucket with these CORS rules, or with no configuration."""

    def make(*rules: dict[str, Any]) -> str:
        name = f"browser-{uuid.uuid4().hex[:16]}"
        s3.create_bucket(Bucket=name)
        if rules:
            s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": list(rules)})
        return name

    return make


@pytest.fixture
def bucket(app: Pages, make_bucket: Callable[..., str]) -> str:
    """A bucket that pages of ``app`` may read and write, with these headers and no others."""
    return make_bucket(
        {
            "AllowedOrigins": [app.origin],
            "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
            "AllowedHeaders": ["content-type", "x-amz-meta-*", "x-page"],
            "ExposeHeaders": ["ETag", "x-amz-meta-from", "Content-Range"],
        }
    )
