import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree

import pytest
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.faults import error_document
from bleepstore.settings import ServerSettings, Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: Any) -> tuple[str, dict[str, bool]]:
    """The server runs on uvloop where there is one, and on asyncio elsewhere."""
    return "asyncio", {"use_uvloop": request.param}


GET = b"GET /b/k?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Stream:
    def __init__(self, *pieces: bytes, then: Exception | None = None) -> None:
        self.pieces = pieces
        self.then = then
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.then is not None:
            raise self.then

    async def aclose(self) -> None:
        self.closed += 1


def parse(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


async def test_an_exchange_holds_the_facts_of_the_request(serve: Any) -> None:
    seen: list[Exchange] = []

    async def answer(x: Exchange) -> Reply:
        seen.append(x)
        return Reply(headers={"x": "y"}, body=b"hi")

    request = (
        b"GET /b/a%20b?uploads&p=x+y HTTP/1.1\r\nHost: h:1\r\n"
        b"X-Amz-Meta-A: \xc3\xa9 \r\nConnection: close\r\n\r\n"
    )
    async with serve(answer) as wire:
        status, headers, body = parse(await wire.send(request))
    (x,) = seen
    assert (status, headers["x"], headers["content-length"], body) == (200, "y", "2", b"hi")
    assert (x.method, x.scheme, x.host, x.client) == ("GET", "http", "h:1", "127.0.0.1")
    assert (x.raw_path, x.raw_query, x.query) == ("/b/a%20b", "uploads&p=x+y", {"uploads": "", "p": "x y"})
    assert x.headers["x-amz-meta-a"] == "\u00c3\u00a9"


async def test_every_reply_names_date_server_and_request(serve: Any) -> None:
    """S3-CHECKLIST 53"""

    async def answer(x: Exchange) -> Reply:
        if x.query:
            raise S3Error("NoSuchKey", Key="k")
        return Reply()

    async with serve(answer) as wire:
        for request in (
            GET,
            GET.replace(b"?x=1", b""),
            GET.replace(b"GET", b"BREW"),
            b"\x16\x03\x01\r\n\r\n",
        ):
            _, headers, _ = parse(await wire.send(request))
            assert headers["date"]
            assert headers["server"] == "BleepStore"
            assert len(headers["x-amz-request-id"]) == 16
            assert headers["x-amz-id-2"]


async def test_an_error_is_a_document_with_resource_and_ids(serve: Any) -> None:
    """S3-CHECKLIST 37"""

    async def answer(x: Exchange) -> Reply:
        raise S3Error("NoSuchKey", headers={"x-extra": "1"}, Key="a<b>&\x01")

    async with serve(answer) as wire:
        status, headers, body = parse(await wire.send(GET))
    assert (status, headers["content-type"], headers["x-extra"]) == (404, "application/xml", "1")
    root = ElementTree.fromstring(body)
    assert root.tag == "Error"
    assert [child.tag for child in root] == ["Code", "Message", "Key", "Resource", "RequestId", "HostId"]
    assert root.findtext("Key") == "a<b>&\ufffd"
    assert root.findtext("Resource") == "/b/k"
    assert root.findtext("RequestId") == headers["x-amz-request-id"]
    assert root.findtext("HostId") == headers["x-amz-id-2"]


async def test_an_error_on_head_has_no_body(serve: Any) -> None:
    """S3-CHECKLIST 37"""

    async def answer(x: Exchange) -> Reply:
        raise S3Error("NoSuchKey")

    async with serve(answer) as wire:
        status, headers, body = parse(await wire.send(GET.replace(b"GET", b"HEAD")))
    assert (status, body) == (404, b"")
    assert "content-length" not in headers
    assert "transfer-encoding" not in headers


async def test_an_unexpected_exception_is_logged_and_answered(serve: Any, caplog: Any) -> None:
    async def answer(x: Exchange) -> Reply:
        raise ZeroDivisionError("secret detail")

    async with serve(answer) as wire:
        status, headers, body = parse(await wire.send(GET))
    assert status == 500
    assert b"<Code>InternalError</Code>" in body
    assert b"secret detail" not in body
    (record,) = caplog.records
    assert headers["x-amz-request-id"] in record.getMessage()
    assert "x=1" not in record.getMessage()
    assert record.exc_info is not None


async def test_a_head_keeps_the_length_of_what_it_leaves_out(serve: Any) -> None:
    stream = Stream(b"never")

    async def answer(x: Exchange) -> Reply:
        return Reply(body=stream, length=1234)

    async with serve(answer) as wire:
        _, headers, body = parse(await wire.send(GET.replace(b"GET", b"HEAD")))
    assert (headers["content-length"], body, stream.closed) == ("1234", b"", 1)


@pytest.mark.parametrize("status", [204, 304])
async def test_bodiless_statuses_have_no_body_and_no_length(serve: Any, status: int) -> None:
    async def answer(x: Exchange) -> Reply:
        return Reply(status=status, headers={"etag": '"e"'}, body=b"dropped")

    async with serve(answer) as wire:
        got, headers, body = parse(await wire.send(GET))
    assert (got, body) == (status, b"")
    assert headers.keys().isdisjoint({"content-length", "transfer-encoding"})


async def test_streams_are_sent_with_their_length_or_chunked(serve: Any) -> None:
    streams: list[Stream] = []

    async def answer(x: Exchange) -> Reply:
        streams.append(Stream(b"abc", b"", b"def"))
        return Reply(body=streams[-1], length=None if x.query else 6)

    async with serve(answer) as wire:
        _, headers, body = parse(await wire.send(GET.replace(b"?x=1", b"")))
        assert (headers["content-length"], body) == ("6", b"abcdef")
        _, headers, body = parse(await wire.send(GET))
        assert (headers["transfer-encoding"], body) == ("chunked", b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
        _, headers, body = parse(await wire.send(GET.replace(b"1.1", b"1.0")))
        assert (headers["connection"], body) == ("close", b"abcdef")
        assert "transfer-encoding" not in headers
    assert [s.closed for s in streams] == [1, 1, 1]


@pytest.mark.parametrize("length", [None, 6])
async def test_a_stream_that_fails_never_looks_complete(serve: Any, length: int | None, caplog: Any) -> None:
    stream = Stream(b"abc", b"def", then=ValueError("damaged"))

    async def answer(x: Exchange) -> Reply:
        return Reply(body=stream, length=length)

    async with serve(answer) as wire:
        reader, writer = await wire.connect()
        writer.write(GET)
        raw = b""
        try:
            while piece := await asyncio.wait_for(reader.read(1000), 10):
                raw += piece
        except ConnectionError:
            pass
        writer.close()
    body = parse(raw)[2] if raw else b""
    assert b"def" not in body or length is None
    assert not body.endswith(b"0\r\n\r\n")
    assert stream.closed == 1
    assert b"<Error>" not in raw
    assert "broke off" in caplog.text


@pytest.mark.parametrize("pieces", [(b"abc",), (b"abc", b"defgh")])
async def test_a_stream_of_another_length_never_looks_complete(
    serve: Any, pieces: tuple[bytes, ...], caplog: Any
) -> None:
    async def answer(x: Exchange) -> Reply:
        return Reply(body=Stream(*pieces), length=6)

    async with serve(answer) as wire:
        reader, writer = await wire.connect()
        writer.write(GET)
        raw = b""
        try:
            while piece := await asyncio.wait_for(reader.read(1000), 10):
                raw += piece
        except ConnectionError:
            pass
        writer.close()
    assert len(parse(raw)[2] if raw else b"") < 6


async def test_a_client_that_leaves_ends_the_stream(serve: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG, "bleepstore.http")
    done = asyncio.Event()

    class Endless(Stream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield bytes(1 << 20)

        async def aclose(self) -> None:
            done.set()

    async def answer(x: Exchange) -> Reply:
        return Reply(body=Endless(), length=1 << 50)

    async with serve(answer) as wire:
        reader, writer = await wire.connect()
        writer.write(GET)
        await reader.readexactly(100_000)
        assert not done.is_set()
        writer.transport.abort()
        await asyncio.wait_for(done.wait(), 10)
    assert not caplog.records


async def test_a_client_that_leaves_in_its_body_is_an_incomplete_body(serve: Any) -> None:
    """S3-CHECKLIST 3"""
    errors: asyncio.Queue[S3Error] = asyncio.Queue()

    async def answer(x: Exchange) -> Reply:
        try:
            async for _ in x.body:
                pass
        except S3Error as error:
            errors.put_nowait(error)
            raise
        return Reply()

    put = b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"
    async with serve(answer) as wire:
        status, _, body = parse(await wire.send(put, half_close=True))
        assert status == 400
        assert b"<Code>IncompleteBody</Code>" in body
        assert (await errors.get()).code == "IncompleteBody"
        _, writer = await wire.connect()
        writer.write(put)
        await writer.drain()
        writer.transport.abort()
        assert (await asyncio.wait_for(errors.get(), 10)).code == "IncompleteBody"


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\0b", "\u4e2d"])
async def test_a_header_value_cannot_split_the_reply(serve: Any, value: str) -> None:
    async def answer(x: Exchange) -> Reply:
        return Reply(headers={"content-disposition": value}, body=b"data")

    async with serve(answer) as wire:
        status, headers, body = parse(await wire.send(GET))
    assert status == 400
    assert b"<Code>InvalidArgument</Code>" in body
    assert "x-evil" not in headers


async def test_own_paths_go_to_the_other_application_unless_the_host_names_a_bucket(serve: Any) -> None:
    async def answer(x: Exchange) -> Reply:
        return Reply(body=b"s3")

    async with serve(answer) as wire:
        for host, path, body in (
            (b"localhost:9000", b"/_bleepstore/health", b"plain"),
            (b"b.localhost:9000", b"/_bleepstore/health", b"s3"),
            (b"localhost", b"/_bleepstore", b"s3"),
            (b"localhost", b"/_bleepstore2/x", b"s3"),
        ):
            request = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)
            assert parse(await wire.send(request))[2] == body


async def test_bad_queries_and_headers_are_errors_of_the_client(serve: Any) -> None:
    async def answer(x: Exchange) -> Reply:
        return Reply()

    async with serve(answer) as wire:
        for request, code in (
            (GET.replace(b"x=1", b"x=%ff"), b"InvalidURI"),
            (
                GET.replace(b"\r\n\r\n", b"\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"),
                b"InvalidRequest",
            ),
        ):
            status, _, body = parse(await wire.send(request))
            assert status == 400
            assert b"<Code>%s</Code>" % code in body


async def test_forwarded_facts_reach_the_exchange(serve: Any) -> None:
    """S3-CHECKLIST 13"""
    seen: list[tuple[str, str, str]] = []

    async def answer(x: Exchange) -> Reply:
        seen.append((x.client, x.scheme, x.host))
        return Reply()

    forwarded = (
        b"\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: s3.test\r\nConnection"
    )
    request = GET.replace(b"\r\nConnection", forwarded)
    trusting = Settings(server=ServerSettings(trusted_proxies=("127.0.0.0/8",)))
    for settings in (trusting, Settings()):
        async with serve(answer, settings) as wire:
            await wire.send(request)
    assert seen == [("1.2.3.4", "https", "s3.test"), ("127.0.0.1", "http", "localhost")]


def test_documents_escape_what_xml_cannot_hold() -> None:
    error = S3Error("InvalidArgument", "\x00\x0b<]]>&\ud800\uffff", ArgumentName="\r\n")
    root = ElementTree.fromstring(error_document(error, "/a&b", "ID", "HOST"))
    assert root.findtext("Message") == "\ufffd\ufffd<]]>&?\ufffd"
    assert root.findtext("ArgumentName") == "\r\n"
