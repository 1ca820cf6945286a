"""The signer of these tests against the worked examples of the documentation.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html ,
sig-v4-header-based-auth.html beside it (example: GET Object).
"""

import datetime

from sigv4_by_hand import EMPTY, Signer

EXAMPLE = Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
WHEN = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)


def test_a_request_is_signed_as_documented():
    headers = {"Host": "examplebucket.s3.amazonaws.com", "Range": "bytes=0-9"}
    signed = EXAMPLE.sign("GET", "/test.txt", headers, EMPTY, at=WHEN)
    assert signed.signature == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


def test_chunks_are_signed_as_documented():
    headers = {
        "Host": "s3.amazonaws.com",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "Content-Length": "66824",
    }
    target = "/examplebucket/chunkObject.txt"
    signed = EXAMPLE.sign("PUT", target, headers, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", at=WHEN)
    assert signed.signature == "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    body, last = signed.chunks([b"a" * 65536, b"a" * 1024])
    assert last == "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
    assert len(body + b"\r\n") == 66824
