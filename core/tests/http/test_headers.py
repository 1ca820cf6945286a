import pytest
from bleepstore.errors import S3Error
from bleepstore.http.dates import http_date, iso_time, parse_http_date
from bleepstore.http.forwarded import TrustedProxies
from bleepstore.http.headers import QUERY_COUNT, SINGLE, content_length, decode_headers, parse_query
from bleepstore.http.object_headers import metadata_headers, object_attributes, refuse_unbuilt, user_metadata
from bleepstore.settings import Settings, StorageSettings
from hypothesis import given
from hypothesis import strategies as st


def test_repeated_headers_are_joined_in_order() -> None:
    pairs = [(b"x-amz-meta-a", b"1"), (b"b", b"\xc3\xa9"), (b"x-amz-meta-a", b"2")]
    assert decode_headers(pairs) == {"x-amz-meta-a": "1,2", "b": "\u00c3\u00a9"}


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_repeated_single_headers_are_refused(name: str) -> None:
    with pytest.raises(S3Error) as caught:
        decode_headers([(name.encode(), b"1"), (name.encode(), b"1")])
    assert caught.value.status == 400


def test_query_names_and_values_are_decoded_strictly() -> None:
    """S3-CHECKLIST 54, S3-CHECKLIST 12"""
    assert parse_query("uploads&a=1&a=2&p=x+y%2Bz&%C3%A9=%2F&&=v") == {
        "uploads": "",
        "a": "1",
        "p": "x y+z",
        "é": "/",
        "": "v",
    }
    assert parse_query("") == {}
    for bad in ("a=%", "a=%f", "%ff=1", "a=%c3"):
        with pytest.raises(S3Error) as caught:
            parse_query(bad)
        assert caught.value.code == "InvalidURI"


def test_the_number_of_query_parameters_is_bounded() -> None:
    assert len(parse_query("&".join(f"a{n}" for n in range(QUERY_COUNT)))) == QUERY_COUNT
    with pytest.raises(S3Error):
        parse_query("a&" * QUERY_COUNT * 2)


@given(st.text())
def test_lengths_are_plain_numbers(text: str) -> None:
    number = content_length(text)
    assert number is None or (text.lstrip("0") or "0") == str(number)


def test_dates_have_the_forms_of_http_and_xml() -> None:
    """S3-CHECKLIST 38"""
    assert http_date(1_767_323_045_678) == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert iso_time(1_767_323_045_678) == "2026-01-02T03:04:05.000Z"


@given(st.integers(0, 253_402_300_799))
def test_dates_are_read_as_written(second: int) -> None:
    assert parse_http_date(http_date(second * 1000)) == second * 1000
    assert parse_http_date(iso_time(second * 1000)) == second * 1000


def test_the_three_forms_of_http_dates_are_read() -> None:
    for text in (
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "Sun Nov  6 08:49:37 1994",
    ):
        assert parse_http_date(text) == 784_111_777_000


@given(st.text(max_size=45))
def test_no_text_breaks_the_date_parser(text: str) -> None:
    assert parse_http_date(text) is None
    assert parse_http_date("Sun, " + text + " GMT") is None
    assert parse_http_date(text + "Z") is None


def test_a_number_beyond_all_numbers_is_no_date() -> None:
    assert parse_http_date("Sun, 99999999999 Nov 1994 08:49:37 GMT") is None
    assert parse_http_date("Sun Nov  6 08:49:99999999999 1994") is None


def test_user_metadata_is_kept_with_lower_case_names() -> None:
    """S3-CHECKLIST 28"""
    raw = "é".encode().decode("latin-1")
    assert user_metadata({"x-amz-meta-a": "1", "x-amz-meta-b": raw, "x": "y"}) == {"a": "1", "b": "é"}
    assert user_metadata({"x-amz-meta-a": "=?UTF-8?B?w6k=?=", "x-amz-meta-b": "=?UTF-8?Q?=C3=A9_x?="}) == {
        "a": "é",
        "b": "é x",
    }
    assert user_metadata({"x-amz-meta-a": "=?nonsense?B?!?=", "x-amz-meta-b": "\u00e9"}) == {
        "a": "=?nonsense?B?!?=",
        "b": "é",
    }


@pytest.mark.parametrize(
    "word", ["=?unicode_escape?q?=5Cud800?=", "=?unicode_escape?q?=5C%?=", "=?utf-7?q?+2AA-?="]
)
def test_an_encoded_word_that_says_no_text_is_kept_as_it_is(word: str) -> None:
    assert user_metadata({"x-amz-meta-a": word}) == {"a": word}


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
def test_metadata_values_survive_the_way_out_and_in(value: str) -> None:
    """S3-CHECKLIST 28"""
    header = metadata_headers({"a": value})["x-amz-meta-a"]
    assert header.isascii()
    assert header.isprintable()
    if "=?" not in value:
        assert user_metadata({"x-amz-meta-a": header}) == {"a": value}


@given(st.text(st.characters(max_codepoint=255), max_size=100))
def test_no_metadata_value_breaks_the_reader(value: str) -> None:
    user_metadata(
        {"x-amz-meta-a": value, "x-amz-meta-b": f"=?utf-8?q?{value}?=", "x-amz-meta-c": f"=?{value}?="}
    )


def test_user_metadata_is_limited_to_2_kb() -> None:
    """S3-CHECKLIST 28"""
    assert user_metadata({"x-amz-meta-ab": "v" * 2046})
    with pytest.raises(S3Error) as caught:
        user_metadata({"x-amz-meta-ab": "v" * 2047})
    assert caught.value.code == "MetadataTooLarge"


def test_system_headers_are_kept_and_content_type_has_a_default() -> None:
    """S3-CHECKLIST 27, S3-CHECKLIST 28"""
    kept = {"cache-control": "no-cache", "content-disposition": "x", "content-language": "de", "expires": "0"}
    assert object_attributes({**kept, "host": "h"}).headers == {**kept, "content-type": "binary/octet-stream"}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("aws-chunked, aws-chunked", None),
        ("AWS-Chunked,zstd,br", "zstd,br"),
        ("gzip , br", "gzip , br"),
        ("", None),
    ],
)
def test_only_aws_chunked_is_stripped_from_content_encoding(sent: str, stored: str | None) -> None:
    """S3-CHECKLIST 5"""
    assert object_attributes({"content-encoding": sent}).headers.get("content-encoding") == stored


def test_storage_classes_are_labels_and_archives_are_refused() -> None:
    assert object_attributes({}).storage_class == "STANDARD"
    assert object_attributes({"x-amz-storage-class": "STANDARD_IA"}).storage_class == "STANDARD_IA"
    for name, code in (("GLACIER", "NotImplemented"), ("standard", "InvalidStorageClass")):
        with pytest.raises(S3Error) as caught:
            object_attributes({"x-amz-storage-class": name})
        assert caught.value.code == code


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-server-side-encryption": "AES256"},
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-server-side-encryption": "aws:kms:dsse"},
        {"x-amz-server-side-encryption-customer-key": "k"},
        {"x-amz-copy-source-server-side-encryption-customer-algorithm": "AES256"},
        {"x-amz-object-lock-mode": "GOVERNANCE"},
        {"x-amz-bucket-object-lock-enabled": "true"},
        {"x-amz-write-offset-bytes": "0"},
    ],
)
def test_headers_for_what_is_not_built_are_refused(headers: dict[str, str]) -> None:
    """S3-CHECKLIST 50"""
    with pytest.raises(S3Error) as caught:
        refuse_unbuilt(headers, Settings())
    assert caught.value.status == 501
    assert caught.value.elements["Header"] in headers


def test_an_encrypting_disk_confirms_aes256_and_nothing_else() -> None:
    settings = Settings(storage=StorageSettings(encrypted_at_rest=True))
    asked = {"x-amz-server-side-encryption": "AES256"}
    assert refuse_unbuilt(asked, settings) == asked
    assert refuse_unbuilt({"x-amz-bucket-object-lock-enabled": "false"}, settings) == {}
    for algorithm, status in (("aws:kms", 501), ("rot13", 400)):
        with pytest.raises(S3Error) as caught:
            refuse_unbuilt({"x-amz-server-side-encryption": algorithm}, settings)
        assert caught.value.status == status


def test_forwarded_headers_are_believed_from_trusted_proxies_only() -> None:
    """S3-CHECKLIST 13"""
    proxies = TrustedProxies(("10.0.0.0/8", "::1"))
    sent = {
        "host": "inner:9000",
        "x-forwarded-host": "s3.example.com",
        "x-forwarded-proto": "https",
        "x-forwarded-for": "6.6.6.6, 1.2.3.4, 10.0.0.2",
    }
    headers = dict(sent)
    assert proxies.origin("10.0.0.1", "http", headers) == ("1.2.3.4", "https")
    assert headers["host"] == "s3.example.com"
    headers = dict(sent)
    assert proxies.origin("9.9.9.9", "http", headers) == ("9.9.9.9", "http")
    assert headers == sent
    assert not TrustedProxies(())
    assert TrustedProxies(("10.0.0.0/8",)).trusts("::ffff:10.1.1.1")
    assert proxies.origin("::1", "http", {"x-forwarded-proto": "gopher"}) == ("::1", "http")
