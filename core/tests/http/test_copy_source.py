"""x-amz-copy-source (S3-CHECKLIST 34)."""

import urllib.parse

import pytest
from bleepstore.errors import S3Error
from bleepstore.http.copy_source import SourceAddress, parse_copy_source
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("header", "bucket", "key", "version"),
    [
        ("bucket/key", "bucket", "key", None),
        ("/bucket/key", "bucket", "key", None),
        ("bucket%2Fkey", "bucket", "key", None),
        ("%2Fbucket%2Fkey", "bucket", "key", None),
        ("bucket/a+b", "bucket", "a b", None),
        ("bucket/a%2Bb%20c", "bucket", "a+b c", None),
        ("bucket//key", "bucket", "/key", None),
        ("bucket/dir/", "bucket", "dir/", None),
        ("bucket/../etc/passwd", "bucket", "../etc/passwd", None),
        ("bucket/%C3%BC", "bucket", "ü", None),
        ("bucket/\xc3\xbc", "bucket", "ü", None),
        ("bucket/key?versionId=null", "bucket", "key", "null"),
        ("bucket/what%3FversionId=null", "bucket", "what?versionId=null", None),
        ("bucket/a?b", "bucket", "a?b", None),
    ],
)
def test_source_is_url_decoded_and_a_bare_plus_is_a_space(header, bucket, key, version):
    """S3-CHECKLIST 34; of the plus: https://github.com/aws/aws-cli/issues/614."""
    assert parse_copy_source(header) == SourceAddress(bucket, key, version)


def test_a_plus_can_be_read_as_itself():
    assert parse_copy_source("bucket/a+b%20c", literal_plus=True).key == "a+b c"


@pytest.mark.parametrize(
    "header", ["", "/", "bucket", "bucket/", "/bucket", "//key", "b/%zz", "b/%ff", "b/k?versionId=%f"]
)
def test_source_that_names_no_key_is_an_invalid_argument(header):
    with pytest.raises(S3Error) as caught:
        parse_copy_source(header)
    assert caught.value.code == "InvalidArgument"
    assert caught.value.elements["ArgumentName"] == "x-amz-copy-source"


def test_source_key_is_bounded():
    with pytest.raises(S3Error) as caught:
        parse_copy_source("bucket/" + "k" * 1025)
    assert caught.value.code == "KeyTooLongError"


def test_access_points_are_not_built():
    with pytest.raises(S3Error) as caught:
        parse_copy_source("arn:aws:s3:us-west-2:123456789012:accesspoint/my-access-point/object/key")
    assert caught.value.code == "NotImplemented"


@given(st.text(min_size=1, max_size=200))
def test_every_key_survives_as_the_sdk_quotes_it(key):
    assert parse_copy_source(urllib.parse.quote(f"bucket/{key}", safe="/~")).key == key
