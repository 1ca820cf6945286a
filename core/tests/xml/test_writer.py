"""What the writer writes, and that the reader reads it again."""

import dataclasses
from typing import Any
from xml.etree import ElementTree

import pytest
from bleepstore import xml
from bleepstore.xml import shapes
from bleepstore.xml.shape import NAMESPACE, Part, parts
from bleepstore.xml.shapes import (
    AccessControlPolicy,
    CommonPrefix,
    CompleteMultipartUploadResult,
    Grant,
    Grantee,
    ListAllMyBucketsResult,
    ListBucketResult,
    LocationConstraint,
    Object,
    Tag,
    Tagging,
)
from bleepstore.xml.writer import HEAD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

slow = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
SHAPES = [shape for shape in vars(shapes).values() if dataclasses.is_dataclass(shape)]
DOCUMENTS = sorted(
    set(SHAPES) - {part.kind for shape in SHAPES for part in parts(shape)}, key=lambda shape: shape.__name__
)
"""Shapes that are no part of another."""


def root(inner: str, name: str = "ListBucketResult") -> bytes:
    return f'{HEAD}<{name} xmlns="{NAMESPACE}">{inner}</{name}>'.encode()


def test_fields_are_elements_in_their_order():
    result = ListBucketResult(name="b", prefix="", max_keys=0, is_truncated=False, key_count=-1)
    inner = (
        "<IsTruncated>false</IsTruncated><Name>b</Name><Prefix></Prefix><MaxKeys>0</MaxKeys>"
        "<KeyCount>-1</KeyCount>"
    )
    assert xml.write(result) == root(inner)


def test_none_and_empty_flattened_lists_are_left_out():
    assert xml.write(ListBucketResult()) == root("")


def test_flattened_lists_have_no_wrapper():
    result = ListBucketResult(
        contents=(Object(key="a", checksum_algorithm=("CRC32", "SHA1")), Object()),
        common_prefixes=(CommonPrefix(prefix="p/"),),
    )
    inner = (
        "<Contents><Key>a</Key><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
        "<ChecksumAlgorithm>SHA1</ChecksumAlgorithm></Contents><Contents></Contents>"
        "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
    )
    assert xml.write(result) == root(inner)


def test_wrapped_lists_have_their_wrapper_also_when_empty():
    assert xml.write(ListAllMyBucketsResult()) == root("<Buckets></Buckets>", "ListAllMyBucketsResult")
    assert xml.write(Tagging(tag_set=())) == root("<TagSet></TagSet>", "Tagging")


def test_fields_of_a_base_follow_those_of_the_shape_but_before_the_last():
    result = CompleteMultipartUploadResult(e_tag='"e"', checksum_sha1="s", checksum_type="COMPOSITE")
    inner = "<ETag>&quot;e&quot;</ETag><ChecksumSHA1>s</ChecksumSHA1><ChecksumType>COMPOSITE</ChecksumType>"
    assert xml.write(result) == root(inner, "CompleteMultipartUploadResult")


def test_type_of_a_grantee_is_an_attribute():
    policy = AccessControlPolicy(access_control_list=(Grant(grantee=Grantee(type='G"<', id="i")),))
    inner = (
        '<AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:type="G&quot;&lt;"><ID>i</ID></Grantee></Grant></AccessControlList>'
    )
    assert xml.write(policy) == root(inner, "AccessControlPolicy")


@pytest.mark.parametrize("region", [None, ""])
def test_root_that_is_text_may_be_empty(region: str | None):
    assert xml.write(LocationConstraint(region=region)) == root("", "LocationConstraint")


@given(st.text(st.characters()))
def test_whatever_a_key_holds_the_document_is_well_formed(key: str):
    """S3-CHECKLIST 38: what XML cannot say (``encoding-type=url`` can) never breaks a document."""
    read = ElementTree.fromstring(xml.write(Tagging(tag_set=(Tag(key=key, value=key),))))
    said = "".join(c if _legal(c) else "\ufffd" for c in key)
    assert [element.text or "" for element in read.iter() if not len(element)] == [said, said]


def _legal(c: str) -> bool:
    """Char of https://www.w3.org/TR/xml/#charsets."""
    return c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000"


# --- there and back ---------------------------------------------------------------------------------


def values(shape: type) -> st.SearchStrategy[Any]:
    """Any value of a shape that XML can say."""
    fields = {part.field: field_values(shape, part) for part in parts(shape)}
    return st.builds(shape, **fields)


def field_values(shape: type, part: Part) -> st.SearchStrategy[Any]:
    one = scalars(part.kind)
    if part.many:
        few = st.lists(one, max_size=2).map(tuple)
        return few if part.required or default(shape, part) == () else few | st.none()
    # Attributes and text are always written.
    return one if part.required or part.attribute or part.text else one | st.none()


def default(shape: type, part: Part) -> Any:
    (field,) = (field for field in dataclasses.fields(shape) if field.name == part.field)
    return () if field.default is dataclasses.MISSING else field.default


def scalars(kind: type) -> st.SearchStrategy[Any]:
    if kind is str:
        return st.text(st.characters().filter(_legal), max_size=6)
    if kind is int:
        return st.integers(-(10**19), 10**19)
    if kind is bool:
        return st.booleans()
    return values(kind)


def test_line_feeds_and_tabs_of_an_attribute_are_kept() -> None:
    policy = shapes.AccessControlPolicy(
        access_control_list=(shapes.Grant(grantee=shapes.Grantee(type="a\tb\nc\r")),)
    )
    assert xml.read(shapes.AccessControlPolicy, xml.write(policy)) == policy


@pytest.mark.parametrize("shape", DOCUMENTS, ids=lambda shape: shape.__name__)
@slow
@given(data=st.data())
def test_what_is_written_is_read_again(shape: type, data: st.DataObject):
    value = data.draw(values(shape))
    assert xml.read(shape, xml.write(value)) == value
