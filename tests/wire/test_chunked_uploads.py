"""aws-chunked bodies over a bare socket: right ones are stored, altered ones are not.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
sigv4-streaming-trailers.html beside it. S3-CHECKLIST 1, 2, 3, 4, 5.
"""

import base64
import zlib

import pytest
from raw_http import request_bytes

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
PIECES = [b"a" * 65536, b"b" * 65536, b"tail"]
WHOLE = b"".join(PIECES)
LENGTH = len(WHOLE)
CRC = base64.b64encode(zlib.crc32(WHOLE).to_bytes(4, "big"))


class Upload:
    """A chunked PUT of key ``k``, framed by what the test makes of it."""

    def __init__(self, wire, bucket, scheme, length=LENGTH, trailer="", **headers):
        self.wire, self.target = wire, f"{bucket}/k"
        if trailer:
            headers["x_amz_trailer"] = trailer
        if length is not None:
            headers["x_amz_decoded_content_length"] = str(length)
        headers.setdefault("Content_Encoding", "aws-chunked")
        # The length of the wire body is not known yet: it is not signed.
        self.signed = wire.signed("PUT", self.target, None, scheme, **headers)

    def send(self, body, *, finish=False, length=None, chunked=False):
        framing = {"Content-Length": str(len(body) if length is None else length)}
        if chunked:
            framing = {"Transfer-Encoding": "chunked"}
            body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:1000], body[1000:])) + b"0\r\n\r\n"
        with self.wire.connect() as connection:
            connection.send(request_bytes("PUT", self.target, {**self.signed.headers, **framing}, body))
            if finish:
                connection.finish()
            return connection.reply()

    def stored(self):
        return self.wire.read(self.target)


def unsigned(pieces=PIECES, trailers=b""):
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return framed + b"0\r\n" + trailers + b"\r\n"


def trailer(value=CRC, name=b"x-amz-checksum-crc32"):
    return name + b":" + value + b"\r\n"


# --- right ones -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_signed_chunks_are_stored_without_their_frames(wire, bucket, chunked):
    upload = Upload(wire, bucket, SIGNED)
    body, _ = upload.signed.chunks(PIECES)
    assert upload.send(body + b"\r\n", chunked=chunked).status == 200
    assert upload.stored() == WHOLE


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_unsigned_chunks_with_a_checksum_behind_them_are_stored(wire, bucket, chunked):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, trailer="x-amz-checksum-crc32")
    reply = upload.send(unsigned(trailers=trailer()), chunked=chunked)
    assert (reply.status, reply.headers["x-amz-checksum-crc32"]) == (200, CRC.decode())
    assert upload.stored() == WHOLE


def test_signed_chunks_with_a_signed_trailer_are_stored(wire, bucket):
    upload = Upload(wire, bucket, SIGNED_TRAILER, trailer="x-amz-checksum-crc32")
    body, last = upload.signed.chunks(PIECES)
    signature = upload.signed.trailer(last, trailer().replace(b"\r\n", b"\n"))
    tail = trailer() + f"x-amz-trailer-signature:{signature}\r\n\r\n".encode()
    assert upload.send(body + tail).status == 200
    assert upload.stored() == WHOLE


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("aws-chunked", None), ("aws-chunked,gzip", "gzip"), ("gzip,aws-chunked", "gzip"), ("zstd", "zstd")],
)
def test_the_framing_is_no_content_encoding_of_the_object(wire, bucket, sent, kept):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, trailer="x-amz-checksum-crc32", Content_Encoding=sent)
    assert upload.send(unsigned(trailers=trailer())).status == 200
    assert wire.ask("HEAD", upload.target).headers.get("content-encoding") == kept


def test_an_empty_body_in_chunks_is_an_empty_object(wire, bucket):
    upload = Upload(wire, bucket, SIGNED, length=0)
    body, _ = upload.signed.chunks([])
    assert upload.send(body + b"\r\n").status == 200
    assert upload.stored() == b""


# --- altered ones -----------------------------------------------------------------------------------------


def test_an_altered_byte_does_not_match_its_signature(wire, bucket):
    upload = Upload(wire, bucket, SIGNED)
    body, _ = upload.signed.chunks(PIECES)
    assert upload.send(body.replace(b"tail", b"tale") + b"\r\n").error() == (403, "SignatureDoesNotMatch")
    assert upload.stored() is None


def test_an_altered_signature_does_not_match(wire, bucket):
    upload = Upload(wire, bucket, SIGNED)
    body, last = upload.signed.chunks(PIECES)
    altered = body.replace(last.encode(), b"0" * 64)
    assert upload.send(altered + b"\r\n").error() == (403, "SignatureDoesNotMatch")
    assert upload.stored() is None


def test_chunks_in_another_order_do_not_match(wire, bucket):
    upload = Upload(wire, bucket, SIGNED)
    one = upload.signed.chunk(upload.signed.signature, PIECES[0])
    two = upload.signed.chunk(one, PIECES[1])
    swapped = b"".join(
        b"%x;chunk-signature=%b\r\n%b\r\n" % (len(piece), signature.encode(), piece)
        for piece, signature in ((PIECES[1], two), (PIECES[0], one))
    )
    assert upload.send(swapped).error()[0] in (400, 403)
    assert upload.stored() is None


def test_a_chunk_without_signature_is_refused(wire, bucket):
    upload = Upload(wire, bucket, SIGNED)
    assert upload.send(unsigned()).error()[0] in (400, 403)
    assert upload.stored() is None


def test_signed_chunks_without_their_end_are_incomplete(wire, bucket):
    upload = Upload(wire, bucket, SIGNED)
    body, _ = upload.signed.chunks(PIECES)
    cut = body[: body.rindex(b"\r\n0;")]
    assert upload.send(cut, length=len(body), finish=True).error() == (400, "IncompleteBody")
    assert upload.send(cut).error() == (400, "IncompleteBody")
    assert upload.stored() is None


def test_a_wrong_checksum_behind_the_body_is_a_bad_digest(wire, bucket):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, trailer="x-amz-checksum-crc32")
    wrong = base64.b64encode(b"\x00\x01\x02\x03")
    assert upload.send(unsigned(trailers=trailer(wrong))).error() == (400, "BadDigest")
    assert upload.stored() is None


def test_an_altered_trailer_does_not_match_its_signature(wire, bucket):
    upload = Upload(wire, bucket, SIGNED_TRAILER, trailer="x-amz-checksum-crc32")
    body, last = upload.signed.chunks(PIECES)
    signature = upload.signed.trailer(last, b"x-amz-checksum-crc32:AAAAAA==\n")
    tail = trailer() + f"x-amz-trailer-signature:{signature}\r\n\r\n".encode()
    assert upload.send(body + tail).error() == (403, "SignatureDoesNotMatch")
    assert upload.stored() is None


@pytest.mark.parametrize(
    "trailers",
    [
        b"",
        trailer(name=b"x-amz-checksum-sha1"),
        trailer() + trailer(name=b"x-amz-checksum-sha1"),
        trailer() + b"x-amz-acl:public-read\r\n",
        b"no colon\r\n",
        trailer(b"not base64"),
        b"x-amz-checksum-crc32:" + b"A" * 100_000 + b"\r\n",
    ],
    ids=["none", "another", "one more", "no checksum", "no colon", "no value", "huge"],
)
def test_trailers_other_than_announced_are_refused(wire, bucket, trailers):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, trailer="x-amz-checksum-crc32")
    assert upload.send(unsigned(trailers=trailers)).error()[0] == 400
    assert upload.stored() is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"\r\n\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"0x4\r\ntail\r\n0\r\n\r\n",
        b"f" * 17 + b"\r\nx",
        b"g\r\nx\r\n0\r\n\r\n",
        b"4;" + b"e" * 5000 + b"\r\ntail\r\n0\r\n\r\n",
        b"4\r\ntail",
        b"4\r\ntail!!0\r\n\r\n",
        b"5\r\ntail\r\n0\r\n\r\n",
        b"3\r\ntail\r\n0\r\n\r\n",
        b"4\r\ntail\r\n0\r\n\r\nand more",
        b"4\r\ntail\r\n4\r\ntail\r\n0\r\n\r\n",
    ],
    ids=lambda body: ascii(body)[2:30],
)
def test_frames_that_are_none_are_refused(wire, bucket, body):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, length=4)
    assert upload.send(body).error()[0] == 400
    assert upload.stored() is None


@pytest.mark.parametrize("length", [len(WHOLE) - 1, len(WHOLE) + 1, 0, 10**30])
def test_another_decoded_length_is_refused(wire, bucket, length):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, length=length, trailer="x-amz-checksum-crc32")
    assert upload.send(unsigned(trailers=trailer())).error()[0] == 400
    assert upload.stored() is None


@pytest.mark.parametrize("length", ["", "-1", "abc", "1e3", "\u0662"])
def test_a_decoded_length_that_is_no_number_is_refused(wire, bucket, length):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, length=length, trailer="x-amz-checksum-crc32")
    assert upload.send(unsigned(trailers=trailer())).error()[0] == 400
    assert upload.stored() is None


def test_chunks_without_a_decoded_length_miss_it(wire, bucket):
    upload = Upload(wire, bucket, UNSIGNED_TRAILER, length=None, trailer="x-amz-checksum-crc32")
    assert upload.send(unsigned(trailers=trailer())).error() == (411, "MissingContentLength")


@pytest.mark.parametrize("scheme", ["STREAMING-", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-X"])
def test_an_unknown_framing_is_refused(wire, bucket, scheme):
    upload = Upload(wire, bucket, scheme)
    assert upload.send(unsigned()).error()[0] in (400, 501)
    assert upload.stored() is None
