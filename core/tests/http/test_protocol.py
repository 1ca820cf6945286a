import asyncio
from typing import Any
from xml.etree import ElementTree

import pytest
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.protocol import HEADER_COUNT, PIPELINE, Patience
from bleepstore.settings import LimitSettings, ServerSettings, Settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: Any) -> tuple[str, dict[str, bool]]:
    """The server runs on uvloop where there is one, and on asyncio elsewhere."""
    return "asyncio", {"use_uvloop": request.param}


HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n"
QUICK = Patience(header=0.05, body=0.05, reply=0.2, linger=0.3, linger_idle=0.1, look=0.02)


async def echo(x: Exchange) -> Reply:
    """Answer with what arrived."""
    data = b"".join([piece async for piece in x.body])
    return Reply(headers={"x-path": x.raw_path}, body=f"{x.method} {x.raw_path} ".encode() + data)


async def early(x: Exchange) -> Reply:
    """Answer without reading the body."""
    return Reply(status=403, body=b"no")


def code_of(raw: bytes) -> tuple[int, str]:
    head, _, body = raw.rpartition(b"\r\n\r\n")
    status = int(head.rpartition(b"HTTP/1.1 ")[2][:3])
    assert b"connection: close" in head
    return status, ElementTree.fromstring(body).findtext("Code") or ""


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "InvalidURI"),
        (b"GET /a\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "InvalidURI"),
        (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", 400, "InvalidURI"),
        (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "InvalidURI"),
        (b"GET ftp://x/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "InvalidURI"),
        (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400, "InvalidRequest"),
        (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 405, "MethodNotAllowed"),
        (b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 405, "MethodNotAllowed"),
        (b"\x16\x03\x01\x02\x00", 405, "MethodNotAllowed"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "InvalidRequest"),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400, "InvalidRequest"),
        (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400, "InvalidRequest"),
        (b"GET /\r\n\r\n", 400, "InvalidRequest"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "InvalidRequest"),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, "InvalidRequest"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A b: c\r\n\r\n", 400, "InvalidRequest"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", 400, "InvalidRequest"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n", 400, "InvalidRequest"),
        (
            b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "InvalidRequest",
        ),
        (
            b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            400,
            "InvalidRequest",
        ),
        (
            b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
            "InvalidRequest",
        ),
        (b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400, "InvalidRequest"),
        (b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400, "InvalidRequest"),
        (b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "NotImplemented"),
        (b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501, "NotImplemented"),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400, "RequestHeaderSectionTooLarge"),
        (b"GET /" + b"a" * 40_000, 400, "RequestHeaderSectionTooLarge"),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 40_000, 400, "RequestHeaderSectionTooLarge"),
        (b"GET / HTTP/1.1\r\n" + b"A" * 40_000, 400, "RequestHeaderSectionTooLarge"),
        (
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (HEADER_COUNT + 2) + b"\r\n",
            400,
            "RequestHeaderSectionTooLarge",
        ),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_what_cannot_be_parsed_is_answered_with_an_s3_error(
    serve: Any, raw: bytes, status: int, code: str
) -> None:
    async with serve(echo) as wire:
        assert code_of(await wire.send(raw, half_close=False)) == (status, code)


async def test_a_megabyte_of_headers_is_refused_and_the_answer_arrives(serve: Any) -> None:
    async with serve(echo) as wire:
        pieces = [b"GET / HTTP/1.1\r\n", *[b"x-amz-meta-a: " + b"b" * 8000 + b"\r\n"] * 128]
        assert code_of(await wire.send(*pieces)) == (400, "RequestHeaderSectionTooLarge")


async def test_header_limits_are_those_configured(serve: Any) -> None:
    small = Settings(server=ServerSettings(limits=LimitSettings(header_bytes=200)))
    request = b"GET /k HTTP/1.1\r\n" + HOST + CLOSE + b"A: %s\r\n\r\n"
    async with serve(echo, small) as wire:
        assert b"200 OK" in await wire.send(request % (b"b" * 100))
        assert code_of(await wire.send(request % (b"b" * 200)))[1] == "RequestHeaderSectionTooLarge"


async def test_raw_targets_reach_the_exchange_as_paths(serve: Any) -> None:
    """S3-CHECKLIST 11"""
    async with serve(echo) as wire:
        for target, path in (
            (b"http://localhost/b/k?x", b"/b/k"),
            (b"http://localhost", b"/"),
            (b"http://localhost?x", b"/"),
            (b"/b/k#fragment", b"/b/k"),
            (b"/b/%2F/../x//", b"/b/%2F/../x//"),
        ):
            raw = await wire.send(b"GET %s HTTP/1.1\r\n" % target + HOST + CLOSE + b"\r\n")
            assert raw.endswith(b"GET " + path + b" ")


async def test_a_connection_is_kept_and_requests_are_answered_in_order(serve: Any) -> None:
    request = b"GET /%d HTTP/1.1\r\n" + HOST + b"\r\n"
    async with serve(echo) as wire:
        raw = await wire.send(
            b"".join(request % n for n in range(PIPELINE)), b"GET /end HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
        )
    places = [raw.index(b"GET /%d " % n) for n in range(PIPELINE)]
    assert places == sorted(places)
    assert raw.endswith(b"GET /end ")
    assert raw.count(b"HTTP/1.1 200") == PIPELINE + 1


async def test_pipelining_is_bounded(serve: Any) -> None:
    async with serve(echo) as wire:
        raw = await wire.send((b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * (PIPELINE + 50))
    assert raw.count(b"HTTP/1.1 200") == PIPELINE + 1
    assert code_of(raw) == (503, "ServiceUnavailable")


async def test_a_refusal_keeps_its_place_behind_pipelined_requests(serve: Any) -> None:
    async with serve(echo) as wire:
        raw = await wire.send(b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\nBREW / HTTP/1.1\r\n\r\n")
    assert raw.index(b"GET /1 ") < raw.index(b"MethodNotAllowed")
    assert code_of(raw) == (405, "MethodNotAllowed")


async def test_connections_over_the_limit_are_answered_503(serve: Any) -> None:
    one = Settings(server=ServerSettings(limits=LimitSettings(connections=1)))
    async with serve(echo, one) as wire:
        _, idle = await wire.connect()
        idle.write(b"GET / HTTP/1.1\r\n")
        while not wire.state.connections:
            await asyncio.sleep(0)
        assert code_of(await wire.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")) == (503, "ServiceUnavailable")
        idle.close()


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_upgrades_are_ignored_and_the_body_is_whole(serve: Any, upgrade: bytes) -> None:
    wish = b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n"
    end = b"GET /end HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    async with serve(echo) as wire:
        raw = await wire.send(b"PUT /k HTTP/1.1\r\n" + HOST + wish + b"Content-Length: 3\r\n\r\nabc" + end)
        assert b"PUT /k abc" in raw
        assert raw.endswith(b"GET /end ")
        raw = await wire.send(b"GET /k HTTP/1.1\r\n" + HOST + wish + b"\r\n", end)
        assert b"GET /k " in raw
        assert raw.endswith(b"GET /end ")


async def test_trailers_of_http_chunks_add_no_headers(serve: Any) -> None:
    seen: list[str | None] = []

    async def answer(x: Exchange) -> Reply:
        data = await x.body.read(100)
        seen.append(x.headers.get("authorization"))
        return Reply(body=data)

    body = b"3\r\nabc\r\n0\r\nAuthorization: forged\r\n\r\n"
    request = b"POST / HTTP/1.1\r\n" + HOST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + body
    async with serve(answer) as wire:
        assert (await wire.send(request)).endswith(b"abc")
    assert seen == [None]


@pytest.mark.parametrize(
    "tail", [b"zz\r\n", b"0\r\nA: " + b"b" * 1_000_000, b"0\r\n" + b"A: b\r\n" * 200_000]
)
async def test_a_broken_or_endless_chunked_body_is_refused(serve: Any, tail: bytes) -> None:
    async def answer(x: Exchange) -> Reply:
        return Reply(body=await x.body.read(100_000))

    request = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    async with serve(answer) as wire:
        reader, writer = await wire.connect()
        writer.write(request)
        for at in range(0, len(tail), 20_000):
            writer.write(tail[at : at + 20_000])
            await writer.drain()
        assert code_of(await asyncio.wait_for(reader.read(), 10)) == (400, "InvalidRequest")
        writer.close()


# --- Expect, early answers, lingering ---------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 5])
async def test_continue_is_sent_when_the_body_is_read(serve: Any, length: int) -> None:
    """S3-CHECKLIST 9"""
    head = b"PUT /k HTTP/1.1\r\n" + HOST + CLOSE + b"Expect: 100-Continue\r\nContent-Length: %d\r\n\r\n"
    async with serve(echo) as wire:
        reader, writer = await wire.connect()
        writer.write(head % length)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"a" * length)
        assert (await reader.read()).endswith(b"PUT /k " + b"a" * length)
        writer.close()


async def test_an_early_answer_to_expect_comes_instead_of_continue_and_closes(serve: Any) -> None:
    """S3-CHECKLIST 9"""
    request = b"PUT /k HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    async with serve(early) as wire:
        raw = await wire.send(request)
    assert raw.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in raw


async def test_a_small_rest_is_swallowed_and_the_connection_kept(serve: Any) -> None:
    """S3-CHECKLIST 10"""
    head = b"PUT /k HTTP/1.1\r\n" + HOST + b"Content-Length: 60000\r\n\r\n"
    async with serve(early) as wire:
        reader, writer = await wire.connect()
        for _ in range(3):
            writer.write(head)
            answer = await reader.readuntil(b"no")
            assert b"connection: close" not in answer
            writer.write(bytes(60_000))
        writer.close()


@pytest.mark.parametrize("framing", [b"Content-Length: 50000000\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_client_reads_the_early_answer_though_it_sends_its_whole_body(
    serve: Any, framing: bytes
) -> None:
    """S3-CHECKLIST 10"""
    async with serve(early) as wire:
        reader, writer = await wire.connect()
        writer.write(b"PUT /k HTTP/1.1\r\n" + HOST + framing + b"\r\n")
        for _ in range(50):
            writer.write(bytes(1_000_000))
            await writer.drain()
        raw = await asyncio.wait_for(reader.read(), 10)
        assert raw.startswith(b"HTTP/1.1 403")
        assert raw.endswith(b"no")
        assert b"connection: close" in raw
        writer.close()


async def test_lingering_ends(serve: Any) -> None:
    """S3-CHECKLIST 10"""
    async with serve(early, patience=QUICK) as wire:
        reader, writer = await wire.connect()
        writer.write(b"PUT /k HTTP/1.1\r\n" + HOST + b"Content-Length: 50000000\r\n\r\n")
        await reader.readuntil(b"no")
        while wire.state.connections:
            await asyncio.sleep(0.01)
        writer.close()


async def test_a_half_closed_client_gets_its_answer(serve: Any) -> None:
    started = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(x: Exchange) -> Reply:
        started.set()
        await go_on.wait()
        return await echo(x)

    async with serve(slow) as wire:
        reader, writer = await wire.connect()
        writer.write(b"PUT /k HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc")
        writer.write_eof()
        await started.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        go_on.set()
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"PUT /k abc")
        writer.close()


# --- time -------------------------------------------------------------------------------------------


async def test_headers_that_never_end_are_timed_out(serve: Any) -> None:
    async with serve(echo, patience=QUICK) as wire:
        assert code_of(await wire.send(b"GET / HTTP/1.1\r\nHost: a")) == (400, "RequestTimeout")


async def test_headers_that_drip_are_timed_out(serve: Any) -> None:
    async with serve(echo, patience=QUICK) as wire:
        reader, writer = await wire.connect()

        async def drip() -> None:
            writer.write(b"GET / HTTP/1.1\r\n")
            while True:
                writer.write(b"A: b\r\n")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(drip())
        assert code_of(await asyncio.wait_for(reader.read(), 10)) == (400, "RequestTimeout")
        task.cancel()
        writer.close()


async def test_a_body_without_a_byte_is_timed_out(serve: Any) -> None:
    async with serve(echo, patience=QUICK) as wire:
        raw = await wire.send(b"PUT /k HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
        assert code_of(raw) == (400, "RequestTimeout")


async def test_a_swallowed_rest_that_never_comes_is_timed_out(serve: Any) -> None:
    async with serve(early, patience=QUICK) as wire:
        raw = b""
        reader, writer = await wire.connect()
        writer.write(b"PUT /k HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
        try:
            while piece := await asyncio.wait_for(reader.read(1000), 10):
                raw += piece
        except ConnectionError:
            pass
        writer.close()
        assert raw.endswith(b"no")


async def test_an_idle_connection_is_closed_after_keep_alive(serve: Any) -> None:
    """S3-CHECKLIST 10"""
    assert Settings().server.keep_alive >= 60
    impatient = Settings(server=ServerSettings(keep_alive=0))
    async with serve(echo, impatient, QUICK) as wire:
        assert await wire.send() == b""
        assert (await wire.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")).endswith(b"GET / ")


async def test_a_client_that_does_not_read_is_cut(serve: Any) -> None:
    async def large(x: Exchange) -> Reply:
        return Reply(body=bytes(50_000_000))

    async with serve(large, patience=QUICK) as wire:
        _, writer = await wire.connect()
        writer.transport.pause_reading()
        writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        while not wire.state.connections:
            await asyncio.sleep(0)
        while wire.state.connections:
            await asyncio.sleep(0.01)
        writer.close()


# --- everything ------------------------------------------------------------------------------------

lines = st.sampled_from(
    [
        *(b"GET / HTTP/1.1\r\n", b"PUT /b/k?x HTTP/1.1\r\n", b"HEAD /\xff HTTP/1.0\r\n", HOST, CLOSE),
        *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
        *(b"Upgrade: x\r\nConnection: upgrade\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n"),
        *(b"Range: bytes=0-\r\n", b"\r\n", b"\r", b"\n", b" "),
    ]
) | st.binary(max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(pieces=st.lists(lines, max_size=14))
async def test_no_bytes_get_a_traceback_a_hang_or_a_500(serve: Any, caplog: Any, pieces: list[bytes]) -> None:
    async with serve(echo, patience=QUICK) as wire:
        try:
            raw = await wire.send(*pieces, half_close=True)
        except ConnectionError:
            raw = b""
    assert b"HTTP/1.1 500" not in raw
    assert not [r for r in caplog.records if r.exc_info]
