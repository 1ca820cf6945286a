"""Messages whose end two servers could see in different places: refused, and nothing behind them runs.

Authority: RFC 9112 sections 2.2, 3.2.2, 5.1, 5.2, 6.1, 6.3, 7.1, and 11.2 on what comes of them.
"""

import asyncio
from typing import Any

import pytest
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.protocol import Patience
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

HOST = b"Host: localhost\r\n"
PUT = b"PUT /first HTTP/1.1\r\n" + HOST
BEHIND = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
QUICK = Patience(header=0.05, body=0.05, reply=0.2, linger=0.3, linger_idle=0.1, look=0.02)


class Seen:
    """A handler that notes what ran."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.hosts: list[str] = []

    async def __call__(self, x: Exchange) -> Reply:
        self.paths.append(x.raw_path)
        self.hosts.append(x.host)
        self.bodies.append(await x.body.read(1 << 20))
        return Reply(body=b"done")


AMBIGUOUS = {
    "length and chunks": PUT + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and length": PUT + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "chunks and no length": PUT + CHUNKED + b"Content-Length: \r\n\r\n0\r\n\r\n",
    "two lengths": PUT + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "the same length twice": PUT + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": PUT + b"Content-Length: 0, 5\r\n\r\n",
    "a length with a sign": PUT + b"Content-Length: +0\r\n\r\n",
    "a hexadecimal length": PUT + b"Content-Length: 0x0\r\n\r\n",
    "a length below nothing": PUT + b"Content-Length: -1\r\n\r\n",
    "a length in other digits": PUT + "Content-Length: \u0660\r\n\r\n".encode(),
    "a length over all": PUT + b"Content-Length: 18446744073709551616\r\n\r\n",
    "chunked twice": PUT + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunked, then identity": PUT + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "identity, then chunked": PUT + b"Transfer-Encoding: identity\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunked and identity": PUT + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity and chunked": PUT + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "gzip": PUT + b"Transfer-Encoding: gzip\r\n\r\n",
    "xchunked": PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "quoted": PUT + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a vertical tab": PUT + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a parameter": PUT + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "a space before the colon": PUT + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab before the colon": PUT + b"Content-Length\t: 5\r\n\r\n",
    "a fold": PUT + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a fold in another": PUT + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a line before the first": b"PUT /first HTTP/1.1\r\n Content-Length: 5\r\n" + HOST + b"\r\n",
    "bare line feeds": b"PUT /first HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n",
    "one bare line feed": PUT + b"X-A: b\nContent-Length: 5\r\n\r\n",
    "a bare carriage return": PUT + b"X-A: b\rContent-Length: 5\r\n\r\n",
    "a null": PUT + b"X-A: b\x00Content-Length: 5\r\n\r\n",
    "a header without a name": PUT + b": 5\r\n\r\n",
    "a header without a colon": PUT + b"Content-Length\r\n\r\n",
    "no host": b"PUT /first HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two hosts": PUT + HOST + b"Content-Length: 0\r\n\r\n",
    "an unknown version": b"PUT /first HTTP/1.2\r\n" + HOST + b"\r\n",
    "a space in the target": b"PUT /first HTTP/1.1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an upgrade to HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("message", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_a_message_of_unclear_length_is_refused_and_the_last(serve: Any, message: bytes) -> None:
    seen = Seen()
    async with serve(seen, patience=QUICK) as wire:
        raw = await wire.send(message + BEHIND)
    assert raw.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ", b"HTTP/1.1 405 "))
    assert raw.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in raw
    assert b"<Error>" in raw
    assert seen.paths == []


BROKEN = {
    "a size that is no number": b"x\r\nabc\r\n0\r\n\r\n",
    "a size with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a size with a space": b"3 \r\nabc\r\n0\r\n\r\n",
    "a size over all": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a bare line feed": b"3\nabc\n0\n\n",
    "data too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "a line feed in an extension": b'3;a="\n"\r\nabc\r\n0\r\n\r\n',
    "a fold in a trailer": b"3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n",
    "an endless extension": b"3;" + b"a" * 2_000_000,
    "endless trailers": b"0\r\n" + b"A: b\r\n" * 300_000,
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
async def test_chunks_of_unclear_length_are_the_last_of_their_connection(serve: Any, body: bytes) -> None:
    seen = Seen()
    async with serve(seen, patience=QUICK) as wire:
        raw = await wire.send(PUT + CHUNKED + b"\r\n" + body + BEHIND)
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert raw.count(b"HTTP/1.1 ") == 1
    assert seen.paths == ["/first"]
    assert seen.bodies == []


@pytest.mark.parametrize(
    "body",
    [b"3;a=b\r\nabc\r\n0\r\n\r\n", b"3;a\r\nabc\r\n0;b\r\nTrailer: x\r\n\r\n", b"003\r\nabc\r\n00\r\n\r\n"],
)
async def test_chunks_with_extensions_end_where_they_say(serve: Any, body: bytes) -> None:
    seen = Seen()
    async with serve(seen) as wire:
        raw = await wire.send(PUT + CHUNKED + b"\r\n" + body + BEHIND, half_close=True)
    assert raw.count(b"HTTP/1.1 200 ") == 2
    assert seen.paths == ["/first", "/smuggled"]
    assert seen.bodies == [b"abc", b""]


async def test_a_chunked_message_of_http_1_0_is_the_last(serve: Any) -> None:
    """RFC 9112 section 6.1: its framing may have been another's."""
    seen = Seen()
    async with serve(seen) as wire:
        head = b"PUT /first HTTP/1.0\r\nConnection: keep-alive\r\n"
        raw = await wire.send(head + CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n" + BEHIND)
    assert raw.count(b"HTTP/1.1 ") == 1
    assert seen.paths == ["/first"]


async def test_a_body_is_no_request_though_it_looks_like_one(serve: Any) -> None:
    seen = Seen()
    async with serve(seen) as wire:
        length = b"Content-Length: %d\r\n\r\n" % len(BEHIND)
        raw = await wire.send(PUT + length + BEHIND + PUT + length + BEHIND, half_close=True)
    assert raw.count(b"HTTP/1.1 200 ") == 2
    assert seen.paths == ["/first", "/first"]
    assert seen.bodies == [BEHIND, BEHIND]


async def test_a_body_that_was_not_read_is_no_request(serve: Any) -> None:
    """S3-CHECKLIST 10"""

    async def refuse(x: Exchange) -> Reply:
        seen.paths.append(x.raw_path)
        return Reply(status=403, body=b"no")

    seen = Seen()
    async with serve(refuse, patience=QUICK) as wire:
        for size in (len(BEHIND), 10_000_000):
            raw = await wire.send(PUT + b"Content-Length: %d\r\n\r\n" % size + BEHIND, half_close=True)
            assert raw.count(b"HTTP/1.1 403 ") == 1
    assert seen.paths == ["/first", "/first"]


async def test_a_body_that_was_not_waited_for_is_no_request(serve: Any) -> None:
    """S3-CHECKLIST 9: refused before 100 Continue, the client may send the body or leave it out."""

    async def refuse(x: Exchange) -> Reply:
        seen.paths.append(x.raw_path)
        return Reply(status=403, body=b"no")

    seen = Seen()
    expects = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BEHIND)
    async with serve(refuse, patience=QUICK) as wire:
        assert (await wire.send(PUT + expects + BEHIND, half_close=True)).count(b"HTTP/1.1 ") == 1
        reader, writer = await wire.connect()
        writer.write(PUT + expects)
        assert b"connection: close" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writer.write(BEHIND)
        assert await asyncio.wait_for(reader.read(), 10) == b"no"
        writer.close()
    assert seen.paths == ["/first", "/first"]


async def test_the_host_of_an_absolute_target_counts(serve: Any) -> None:
    seen = Seen()
    async with serve(seen) as wire:
        await wire.send(b"GET http://right:1/k?a=b HTTP/1.1\r\n" + HOST + b"\r\n", half_close=True)
    assert (seen.paths, seen.hosts) == (["/k"], ["right:1"])


@pytest.mark.parametrize("target", [b"http://", b"http:///k", b"http://a@b/k", b"ftp://b/k", b"b:80", b"*"])
async def test_other_targets_are_no_address(serve: Any, target: bytes) -> None:
    seen = Seen()
    async with serve(seen) as wire:
        raw = await wire.send(b"OPTIONS " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>InvalidURI</Code>" in raw
    assert seen.paths == []


async def test_a_refused_message_names_the_server_where_its_target_is_unknown(serve: Any) -> None:
    """S3-CHECKLIST 37"""
    async with serve(Seen()) as wire:
        assert b"<Resource>/</Resource>" in await wire.send(b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"<Resource>/k</Resource>" in await wire.send(b"GET /k?q HTTP/1.1\r\n" + HOST * 2 + b"\r\n")


async def test_a_body_that_drips_is_read_to_its_end(serve: Any) -> None:
    """Slow is not stuck: only a client that sends nothing at all is given up."""
    seen = Seen()
    async with serve(seen, patience=Patience(body=1.0, look=0.02)) as wire:
        reader, writer = await wire.connect()
        writer.write(PUT + b"Content-Length: 30\r\n\r\n")
        for _ in range(30):
            writer.write(b"x")
            await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(reader.readuntil(b"done"), 10)).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert seen.bodies == [b"x" * 30]


PIECES = st.sampled_from(
    [b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", CHUNKED, b"Transfer-Encoding: identity\r\n"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(headers=st.lists(PIECES, max_size=3), body=st.sampled_from([b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n"]))
async def test_what_runs_behind_a_message_is_what_its_length_says(
    serve: Any, headers: list[bytes], body: bytes
) -> None:
    seen = Seen()
    async with serve(seen, patience=QUICK) as wire:
        raw = await wire.send(PUT + b"".join(headers) + b"\r\n" + body + BEHIND, half_close=True)
    if len(headers) > 1:
        assert seen.paths == []
        assert raw.count(b"HTTP/1.1 ") == 1
    else:
        given = {b"Content-Length: 3\r\n": b"abc", CHUNKED: b"3\r\nabc\r\n0\r\n\r\n"}
        fits = given.get(b"".join(headers), b"") == body
        assert ("/smuggled" in seen.paths) == (fits and b"identity" not in b"".join(headers))
