import pytest
from bleepstore.commands import Condition
from bleepstore.errors import S3Error
from bleepstore.http.conditions import Verdict, check_copy_source, decide, etags, write_condition
from bleepstore.http.dates import http_date
from hypothesis import given
from hypothesis import strategies as st

MODIFIED = 1_767_323_045_678
ETAG = "abc"
matches = st.sampled_from([None, '"abc"', "abc", "*", '"x"', '"x", "abc"', 'W/"abc"'])
offsets = st.sampled_from([None, -1000, 0, 1000])


def headers_of(
    match: str | None, none: str | None, modified: int | None, unmodified: int | None
) -> dict[str, str]:
    pairs = {
        "if-match": match,
        "if-none-match": none,
        "if-modified-since": None if modified is None else http_date(MODIFIED + modified),
        "if-unmodified-since": None if unmodified is None else http_date(MODIFIED + unmodified),
    }
    return {name: value for name, value in pairs.items() if value is not None}


def model(match: str | None, none: str | None, modified: int | None, unmodified: int | None) -> int:
    """RFC 9110 section 13.2.2, step by step."""
    if match is not None:
        if "abc" not in match and match != "*":
            return 412
    elif unmodified is not None and unmodified < 0:
        return 412
    if none is not None:
        return 304 if "abc" in none or none == "*" else 200
    if modified is not None and modified >= 0:
        return 304
    return 200


@given(matches, matches, offsets, offsets)
def test_reads_follow_the_precedence_of_the_rfc(
    match: str | None, none: str | None, modified: int | None, unmodified: int | None
) -> None:
    """S3-CHECKLIST 32"""
    verdict = decide(headers_of(match, none, modified, unmodified), ETAG, MODIFIED)
    status = 200 if verdict is None else 304 if verdict.not_modified else 412
    assert status == model(match, none, modified, unmodified)


def test_dates_have_whole_seconds() -> None:
    """S3-CHECKLIST 32"""
    assert decide({"if-unmodified-since": http_date(MODIFIED)}, ETAG, MODIFIED) is None
    assert decide({"if-modified-since": http_date(MODIFIED)}, ETAG, MODIFIED) is Verdict.NOT_MODIFIED_DATE


def test_unreadable_dates_are_ignored() -> None:
    assert decide({"if-modified-since": "yesterday", "if-unmodified-since": "0"}, ETAG, MODIFIED) is None


def test_copy_sources_answer_412_and_name_the_condition() -> None:
    """S3-CHECKLIST 34"""
    with pytest.raises(S3Error) as caught:
        check_copy_source({"x-amz-copy-source-if-none-match": '"abc"'}, ETAG, MODIFIED)
    assert (caught.value.code, caught.value.status) == ("PreconditionFailed", 412)
    assert caught.value.elements == {"Condition": "x-amz-copy-source-If-None-Match"}
    check_copy_source({"if-match": '"other"', "x-amz-copy-source-if-match": "abc"}, ETAG, MODIFIED)


def test_write_conditions_are_those_s3_has() -> None:
    """S3-CHECKLIST 33"""
    assert write_condition({}) == Condition()
    assert write_condition({"if-none-match": "*"}) == Condition(if_none_match=True)
    assert write_condition({"if-match": '"abc"'}) == Condition(if_match=("abc",))
    assert write_condition({"if-match": "*"}) == Condition(if_match=("*",))


@pytest.mark.parametrize(
    "headers",
    [
        {"if-none-match": '"abc"'},
        {"if-match": "*", "if-none-match": "*"},
        {"if-modified-since": "x"},
        {"if-unmodified-since": "x"},
    ],
)
def test_other_write_conditions_are_refused_not_dropped(headers: dict[str, str]) -> None:
    """S3-CHECKLIST 33"""
    with pytest.raises(S3Error) as caught:
        write_condition(headers)
    assert caught.value.status == 501


def test_an_empty_if_match_matches_nothing_and_is_refused() -> None:
    with pytest.raises(S3Error):
        write_condition({"if-match": '""'})


def test_etags_come_quoted_or_not() -> None:
    """S3-CHECKLIST 32"""
    assert etags('"a", b ,W/"c"') == ("a", "b", "c")
    assert etags('"a", *') == ("*",)
