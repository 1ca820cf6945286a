"""Signatures of chunks: each is good in its place of its body alone.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

import hashlib
from typing import Any

import pytest
from bleepstore.auth.canonical import signing_key
from bleepstore.auth.chunks import RunningSignature
from bleepstore.errors import S3Error
from bleepstore.exchange import ANONYMOUS, Authentication
from bleepstore.http.body import RequestBody

pytestmark = pytest.mark.anyio
KEY = signing_key("secret", "20130524", "us-east-1")
SCOPE = "20130524/us-east-1/s3/aws4_request"
DATE = "20130524T000000Z"
SEED = "0" * 64
CHUNKS = [b"one" * 1000, b"two" * 1000, b"six" * 1000]


def signer(seed: str = SEED, *, key: bytes = KEY, date: str = DATE, scope: str = SCOPE) -> RunningSignature:
    return RunningSignature(key, date, scope, seed)


def frames(running: RunningSignature, chunks: list[bytes] = CHUNKS) -> list[bytes]:
    """The chunks framed and signed, and the empty one behind them."""
    return [
        b"%x;chunk-signature=%s\r\n" % (len(chunk), running.chunk(hashlib.sha256(chunk).digest()).encode())
        + (chunk + b"\r\n") * bool(chunk)
        for chunk in (*chunks, b"")
    ]


async def read(framed: list[bytes], running: RunningSignature, length: int = 9000) -> bytes:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"".join(framed) + b"\r\n", "more_body": False}

    headers = {
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-decoded-content-length": str(length),
        "content-length": "1",
    }
    body = RequestBody(receive, "PUT", headers, 1 << 40)
    body.authenticated(Authentication(identity=ANONYMOUS, chunk_signer=running))
    return b"".join([piece async for piece in body])


async def refused(framed: list[bytes], running: RunningSignature, length: int = 9000) -> str:
    with pytest.raises(S3Error) as caught:
        await read(framed, running, length)
    return caught.value.code


async def test_chunks_in_order_are_the_body() -> None:
    assert await read(frames(signer()), signer()) == b"".join(CHUNKS)


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 1, 3), (0, 0, 2, 3), (2, 2, 2, 3)])
async def test_chunks_in_another_order_are_refused(order: tuple[int, ...]) -> None:
    """S3-CHECKLIST 3"""
    framed = frames(signer())
    assert await refused([framed[n] for n in order], signer()) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
async def test_a_body_that_is_cut_is_incomplete(kept: int) -> None:
    """S3-CHECKLIST 3"""
    assert await refused(frames(signer())[:kept], signer()) == "IncompleteBody"


async def test_an_end_for_a_shorter_body_is_refused() -> None:
    """The signature of the last, empty chunk covers all that came before it."""
    framed = frames(signer())
    assert await refused([framed[0], framed[3]], signer(), 3000) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "other",
    [
        signer("1" * 64),
        signer(date="20130524T000001Z"),
        signer(scope="20130524/mars-1/s3/aws4_request"),
        signer(key=signing_key("another", "20130524", "us-east-1")),
    ],
    ids=["request", "moment", "scope", "key"],
)
async def test_chunks_of_another_request_are_refused(other: RunningSignature) -> None:
    """S3-CHECKLIST 3"""
    assert await refused(frames(other), signer()) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "signature", [b"", b"0" * 63, b"0" * 64, b"\xe9" * 64, b"\xb2" * 64, b"F" * 64], ids=repr
)
async def test_what_is_no_signature_does_not_match(signature: bytes) -> None:
    framed = frames(signer())
    head, _, data = framed[0].partition(b"\r\n")
    framed[0] = head.partition(b"=")[0] + b"=" + signature + b"\r\n" + data
    assert await refused(framed, signer()) == "SignatureDoesNotMatch"


async def test_trailers_continue_the_signatures_of_their_body() -> None:
    lines = hashlib.sha256(b"x-amz-checksum-crc32:AAAAAA==\n").digest()
    one, other = signer(), signer()
    for running, chunks in ((one, CHUNKS), (other, CHUNKS[:2])):
        frames(running, chunks)
    assert one.trailer(lines) == one.trailer(lines) != other.trailer(lines)
    assert one.trailer(lines) != one.trailer(hashlib.sha256(b"x-amz-checksum-crc32:AAAAAQ==\n").digest())
