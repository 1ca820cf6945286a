"""Listings of objects, both versions of the operation.

Authority: API_ListObjectsV2 and API_ListObjects in https://docs.aws.amazon.com/AmazonS3/latest/API/ and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-prefixes.html
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from bleepstore.testing.s3.expectations import refused

TREE = ["a", "a/b", "a/b/c", "a/d", "ab", "b/", "b/x", "c"]


@pytest.fixture
def fill(s3, bucket):
    def fill(keys):
        for key in keys:
            # Some cannot hold bytes under the name of a folder, and list it all the same.
            s3.put_object(Bucket=bucket, Key=key, Body=b"" if key.endswith("/") else key.encode())
        return bucket

    return fill


def keys(reply):
    return [entry["Key"] for entry in reply.get("Contents", [])]


def prefixes(reply):
    return [entry["Prefix"] for entry in reply.get("CommonPrefixes", [])]


@pytest.fixture(params=["list_objects", "list_objects_v2"])
def listing(s3, request):
    return getattr(s3, request.param)


def test_an_empty_bucket_lists_nothing(listing, bucket):
    reply = listing(Bucket=bucket)
    assert reply["IsTruncated"] is False
    assert "Contents" not in reply


def test_keys_are_listed_in_the_order_of_their_utf8_bytes(listing, fill):
    """S3-CHECKLIST 19"""
    given = ["b", "a", "Z", "é", "😀", "\uff5e", "a-", "a/", "a0", "~"]
    reply = listing(Bucket=fill(given))
    assert keys(reply) == sorted(given, key=str.encode)


def test_an_entry_has_etag_size_class_and_time(s3, listing, fill):
    """S3-CHECKLIST 38"""
    bucket = fill(["k"])
    entry = listing(Bucket=bucket)["Contents"][0]
    assert entry["ETag"] == f'"{hashlib.md5(b"k").hexdigest()}"'
    assert (entry["Size"], entry["StorageClass"]) == (1, "STANDARD")
    # A header has whole seconds, a listing may have more.
    listed, headed = entry["LastModified"], s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert listed.replace(microsecond=0) == headed


def test_a_prefix_selects(listing, fill):
    assert keys(listing(Bucket=fill(TREE), Prefix="a/")) == ["a/b", "a/b/c", "a/d"]


def test_a_prefix_need_not_end_at_a_delimiter(listing, fill):
    """S3-CHECKLIST 22"""
    reply = listing(Bucket=fill(TREE), Prefix="a", Delimiter="/")
    assert (keys(reply), prefixes(reply)) == (["a", "ab"], ["a/"])


def test_a_delimiter_rolls_up(listing, fill):
    reply = listing(Bucket=fill(TREE), Delimiter="/")
    assert (keys(reply), prefixes(reply)) == (["a", "ab", "c"], ["a/", "b/"])
    assert reply["Delimiter"] == "/"


def test_prefix_and_delimiter_show_one_folder(listing, fill):
    """S3-CHECKLIST 22"""
    reply = listing(Bucket=fill(TREE), Prefix="b/", Delimiter="/")
    assert (keys(reply), prefixes(reply)) == (["b/", "b/x"], [])


def test_a_delimiter_of_several_characters(listing, fill):
    """S3-CHECKLIST 22"""
    reply = listing(Bucket=fill(["a--b", "a--c", "a-b", "d"]), Delimiter="--")
    assert (keys(reply), prefixes(reply)) == (["a-b", "d"], ["a--"])


def test_a_delimiter_that_is_a_letter(listing, fill):
    """S3-CHECKLIST 22"""
    reply = listing(Bucket=fill(["bar", "baz", "cab", "foo"]), Delimiter="a")
    assert (keys(reply), prefixes(reply)) == (["foo"], ["ba", "ca"])


def test_a_missing_bucket_is_no_such_bucket(listing, new_name):
    with refused("NoSuchBucket", 404):
        listing(Bucket=new_name())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9])
def test_pages_of_any_size_hold_everything_once_and_in_order(s3, fill, size):
    """S3-CHECKLIST 21"""
    bucket = fill(TREE)
    found = []
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": size}
    ):
        assert page["KeyCount"] <= size
        found += keys(page)
    assert found == TREE


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_common_prefix_counts_once_and_is_on_one_page_only(s3, fill, operation, size):
    """S3-CHECKLIST 20"""
    bucket = fill([f"{d}/{n}" for d in "pqr" for n in range(4)] + ["q", "s"])
    found = []
    for page in s3.get_paginator(operation).paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}
    ):
        assert len(keys(page)) + len(prefixes(page)) <= size
        found += keys(page) + prefixes(page)
    assert sorted(found) == ["p/", "q", "q/", "r/", "s"]


def test_a_page_of_nothing_is_not_truncated(listing, fill):
    """S3-CHECKLIST 21"""
    reply = listing(Bucket=fill(TREE), MaxKeys=0)
    assert reply["IsTruncated"] is False
    assert "Contents" not in reply


def test_a_page_that_just_fits_is_not_truncated(listing, fill):
    reply = listing(Bucket=fill(TREE), MaxKeys=len(TREE))
    assert (reply["IsTruncated"], keys(reply)) == (False, TREE)


def test_a_page_has_1000_entries_at_most(listing, fill):
    """S3-CHECKLIST 21"""
    reply = listing(Bucket=fill(["k"]), MaxKeys=5000)
    assert reply["MaxKeys"] == 1000


@pytest.mark.parametrize("size", [-1, 2**31])
def test_an_impossible_page_size_is_refused(listing, bucket, size):
    with refused("InvalidArgument", 400):
        listing(Bucket=bucket, MaxKeys=size)


# --- version 2 ----------------------------------------------------------------------------------------


def test_start_after_begins_behind_a_key(s3, fill):
    bucket = fill(TREE)
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="a/d")) == ["ab", "b/", "b/x", "c"]
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="a/c")) == ["a/d", "ab", "b/", "b/x", "c"]
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="z")) == []


def test_start_after_is_ignored_beside_a_token(s3, fill):
    """S3-CHECKLIST 22"""
    bucket = fill(TREE)
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=3)
    token = first["NextContinuationToken"]
    second = s3.list_objects_v2(Bucket=bucket, ContinuationToken=token, StartAfter="b/x")
    assert keys(second) == TREE[3:]
    assert second["ContinuationToken"] == token


def test_owners_are_listed_when_asked_for(s3, fill):
    bucket = fill(["k"])
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    owner = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]
    assert owner["ID"] == s3.list_buckets()["Owner"]["ID"]


def test_key_count_counts_keys_and_prefixes(s3, fill):
    assert s3.list_objects_v2(Bucket=fill(TREE), Delimiter="/")["KeyCount"] == 5


def test_a_token_that_is_none_is_refused(s3, bucket):
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="not-a-token")


def test_a_listing_goes_on_where_its_page_ended_though_keys_came_and_went(s3, fill):
    bucket = fill(["a", "b", "c", "d"])
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=2)
    s3.delete_object(Bucket=bucket, Key="b")
    s3.put_object(Bucket=bucket, Key="aa", Body=b"")
    second = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    assert keys(second) == ["c", "d"]


# --- version 1 ----------------------------------------------------------------------------------------


def test_a_marker_begins_behind_a_key(s3, fill):
    """S3-CHECKLIST 23"""
    reply = s3.list_objects(Bucket=fill(TREE), Marker="a/d")
    assert (keys(reply), reply["Marker"]) == (["ab", "b/", "b/x", "c"], "a/d")


def test_next_marker_comes_only_with_a_delimiter(s3, fill):
    """S3-CHECKLIST 23"""
    bucket = fill(TREE)
    assert "NextMarker" not in s3.list_objects(Bucket=bucket, MaxKeys=2)
    assert s3.list_objects(Bucket=bucket, MaxKeys=2, Delimiter="/")["NextMarker"] == "a/"


def test_owners_are_always_listed_by_version_1(s3, fill):
    assert s3.list_objects(Bucket=fill(["k"]))["Contents"][0]["Owner"]["ID"]


# --- encoding ---------------------------------------------------------------------------------------------


def test_url_encoding_is_asked_for_and_undone_by_the_sdk(listing, fill):
    """S3-CHECKLIST 18"""
    given = ["a b", "a%20b", "a+b", "a/ü", "a\x01b", "a&b<c>"]
    assert sorted(keys(listing(Bucket=fill(given)))) == sorted(given)


def test_url_encoding_leaves_slashes_and_encodes_the_rest(s3, fill):
    """S3-CHECKLIST 18"""
    bucket = fill(["dir/sp ace", "dir/ü"])
    reply = s3.list_objects_v2(Bucket=bucket, EncodingType="url", Prefix="dir/", Delimiter="+")
    # With an explicit EncodingType the SDK leaves values as they came.
    assert keys(reply) in (["dir/sp+ace", "dir/%C3%BC"], ["dir/sp%20ace", "dir/%C3%BC"])
    assert (reply["Prefix"], reply["Delimiter"], reply["EncodingType"]) == ("dir/", "%2B", "url")


def test_an_unknown_encoding_is_refused(s3, bucket):
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=bucket, EncodingType="base64")


def test_more_than_a_page_of_keys(s3, bucket):
    given = [f"{n:05}" for n in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), given))
    first = s3.list_objects_v2(Bucket=bucket)
    assert (first["KeyCount"], first["IsTruncated"]) == (1000, True)
    second = s3.list_objects_v2(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    assert keys(first) + keys(second) == given
