"""The worked examples of the documentation, through the authenticator: each carries its own signature.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html , and
sigv4-query-string-auth.html, sigv4-streaming.html and sigv4-streaming-trailers.html beside it.
"""

import hashlib
from typing import Any

import pytest
from bleepstore.auth.canonical import canonical_headers, canonical_path, canonical_query, canonical_request
from bleepstore.errors import S3Error

pytestmark = pytest.mark.anyio

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HOST = {"Host": "examplebucket.s3.amazonaws.com", "x-amz-date": "20130524T000000Z"}
PLAIN = {**HOST, "x-amz-content-sha256": EMPTY}

EXAMPLES = {
    "GET Object": (
        "GET",
        "/test.txt",
        {**PLAIN, "Range": "bytes=0-9"},
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "PUT Object": (
        "PUT",
        "/test$file.text",
        {
            **HOST,
            "Date": "Fri, 24 May 2013 00:00:00 GMT",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        },
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "GET Bucket Lifecycle": (
        "GET",
        "/?lifecycle",
        PLAIN,
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "Get Bucket (List Objects)": (
        "GET",
        "/?max-keys=2&prefix=J",
        PLAIN,
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}
CREDENTIAL = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
PRESIGNED = (
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)
CHUNKED = {
    "Host": "s3.amazonaws.com",
    "x-amz-date": "20130524T000000Z",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
    "Content-Encoding": "aws-chunked",
    "x-amz-decoded-content-length": "66560",
    "Content-Length": "66824",
}


def authorization(signed: str, signature: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={CREDENTIAL},SignedHeaders={signed},Signature={signature}"


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
async def test_a_request_that_is_signed_as_documented_is_its_accounts(
    authenticator: Any, ask: Any, example: Any
) -> None:
    method, target, headers, signed, signature = example
    x = ask(method, target, {**headers, "Authorization": authorization(signed, signature)})
    found = await authenticator.authenticate(x)
    assert found.identity.access_key == "AKIAIOSFODNN7EXAMPLE"
    assert found.identity.account.display_name == "first"
    assert found.signed_headers == frozenset(signed.split(";"))


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
async def test_the_same_with_one_digit_changed_is_nobodys(authenticator: Any, ask: Any, example: Any) -> None:
    method, target, headers, signed, signature = example
    changed = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    x = ask(method, target, {**headers, "Authorization": authorization(signed, changed)})
    with pytest.raises(S3Error) as caught:
        await authenticator.authenticate(x)
    assert caught.value.code == "SignatureDoesNotMatch"


def test_the_canonical_request_is_as_documented() -> None:
    _, target, headers, signed, _ = EXAMPLES["Get Bucket (List Objects)"]
    path, _, query = target.partition("?")
    lower = {name.lower(): value for name, value in headers.items()}
    request = canonical_request(
        "GET",
        canonical_path(path),
        canonical_query(query),
        canonical_headers(lower, signed.split(";")),
        signed,
        EMPTY,
    )
    assert hashlib.sha256(request.encode()).hexdigest() == (
        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7"
    )


async def test_the_presigned_url_is_valid_for_a_day(authenticator: Any, ask: Any) -> None:
    """S3-CHECKLIST 14"""
    x = ask("GET", PRESIGNED, {"Host": HOST["Host"]})
    found = await authenticator.authenticate(x)
    assert found.identity.access_key == "AKIAIOSFODNN7EXAMPLE"
    assert found.chunk_signer is None
    assert found.query_checksums_signed


async def test_chunks_are_signed_as_documented(authenticator: Any, ask: Any) -> None:
    """S3-CHECKLIST 1"""
    headers = {**CHUNKED, "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}
    signed = (
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
        "x-amz-decoded-content-length;x-amz-storage-class"
    )
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    x = ask(
        "PUT", "/examplebucket/chunkObject.txt", {**headers, "Authorization": authorization(signed, seed)}
    )
    signer = (await authenticator.authenticate(x)).chunk_signer
    found = [signer.chunk(hashlib.sha256(data).digest()) for data in (b"a" * 65536, b"a" * 1024, b"")]
    assert found == [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]


async def test_trailers_are_signed_as_documented(authenticator: Any, ask: Any) -> None:
    """S3-CHECKLIST 1, S3-CHECKLIST 3"""
    headers = {
        **CHUNKED,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-trailer": "x-amz-checksum-crc32c",
    }
    signed = (
        "content-encoding;host;x-amz-content-sha256;x-amz-date;"
        "x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer"
    )
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    x = ask(
        "PUT", "/examplebucket/chunkObject.txt", {**headers, "Authorization": authorization(signed, seed)}
    )
    signer = (await authenticator.authenticate(x)).chunk_signer
    found = [signer.chunk(hashlib.sha256(data).digest()) for data in (b"a" * 65536, b"a" * 1024, b"")]
    assert found == [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ]
    lines = b"x-amz-checksum-crc32c:sOO8/Q==\n"
    assert signer.trailer(hashlib.sha256(lines).digest()) == (
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    )
