"""What the reader takes, and what it refuses."""

import tracemalloc
from itertools import pairwise

import pytest
from bleepstore import xml
from bleepstore.errors import S3Error
from bleepstore.settings import Settings
from bleepstore.xml.reader import ATTRIBUTES, DEPTH
from bleepstore.xml.shape import NAMESPACE
from bleepstore.xml.shapes import (
    AccessControlPolicy,
    CompletedPart,
    CompleteMultipartUpload,
    CreateBucketConfiguration,
    Delete,
    Grant,
    Grantee,
    ObjectIdentifier,
    Owner,
    Tag,
    Tagging,
)
from hypothesis import given
from hypothesis import strategies as st

XML_BYTES = Settings().server.limits.xml_bytes


def assert_malformed(shape: type, document: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        xml.read(shape, document)
    assert (caught.value.code, caught.value.status) == ("MalformedXML", 400)


# --- what clients vary ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "opening",
    [
        "Tagging",
        f'Tagging xmlns="{NAMESPACE}"',
        'Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01"',
        'Tagging xmlns="http://doc.s3.amazonaws.com/2006-03-01"',
        'Tagging xmlns=""',
    ],
)
def test_namespace_may_be_missing(opening: str):
    """S3-CHECKLIST 52: with or without namespace."""
    document = f"<{opening}><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
    assert xml.read(Tagging, document.encode()) == Tagging(tag_set=(Tag(key="k", value="v"),))


def test_namespace_may_have_a_prefix():
    document = f'<s3:Delete xmlns:s3="{NAMESPACE}"><s3:Quiet>true</s3:Quiet></s3:Delete>'
    assert xml.read(Delete, document.encode()) == Delete(quiet=True)


def test_document_of_a_foreign_namespace_is_malformed():
    assert_malformed(Delete, b'<Delete xmlns="urn:other"><Quiet>true</Quiet></Delete>')


def test_elements_of_a_foreign_namespace_are_skipped():
    document = b'<Delete xmlns:o="urn:other"><o:Quiet>x<Quiet/></o:Quiet><Quiet>false</Quiet></Delete>'
    assert xml.read(Delete, document) == Delete(quiet=False)


@given(st.permutations(["<ETag>e</ETag>", "<ChecksumCRC32>c</ChecksumCRC32>", "<PartNumber>7</PartNumber>"]))
def test_children_come_in_any_order(children: list[str]):
    """S3-CHECKLIST 52: children in any order."""
    part = "".join(children)
    document = f"<CompleteMultipartUpload><Part>{part}</Part></CompleteMultipartUpload>"
    assert xml.read(CompleteMultipartUpload, document.encode()) == CompleteMultipartUpload(
        parts=(CompletedPart(e_tag="e", part_number=7, checksum_crc32="c"),)
    )


def test_items_of_a_list_need_not_be_neighbours():
    document = b"<Delete><Object><Key>a</Key></Object><Quiet>1</Quiet><Object><Key>b</Key></Object></Delete>"
    assert xml.read(Delete, document) == Delete(
        objects=(ObjectIdentifier(key="a"), ObjectIdentifier(key="b")), quiet=True
    )


def test_unknown_elements_are_skipped_with_all_they_hold():
    document = b"<Delete><New><Quiet>true</Quiet><Object/></New><Quiet>false</Quiet></Delete>"
    assert xml.read(Delete, document) == Delete(quiet=False)


def test_white_space_between_elements_and_around_numbers_is_nothing():
    document = b"\n<CompleteMultipartUpload>\n <Part>\t<PartNumber> 3\n</PartNumber><ETag>e</ETag></Part>\n"
    read = xml.read(CompleteMultipartUpload, document.lstrip() + b"</CompleteMultipartUpload>\n")
    assert read.parts == (CompletedPart(e_tag="e", part_number=3),)


def test_white_space_in_text_is_kept():
    document = b"<Delete><Object><Key> a b\t</Key></Object></Delete>"
    assert xml.read(Delete, document).objects[0].key == " a b\t"


def test_comments_instructions_and_cdata_are_xml():
    document = b"<?pi x?><Delete><!-- c --><Object><Key>a<!-- c -->b<![CDATA[<&>]]></Key></Object></Delete>"
    assert xml.read(Delete, document).objects[0].key == "ab<&>"


def test_type_of_a_grantee_is_an_attribute():
    document = (
        b'<AccessControlPolicy xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><AccessControlList>'
        b'<Grant><Permission>READ</Permission><Grantee xsi:type="Group"><URI>urn:all</URI></Grantee></Grant>'
        b"</AccessControlList><Owner><ID>o</ID></Owner></AccessControlPolicy>"
    )
    grantee = Grantee(type="Group", uri="urn:all")
    assert xml.read(AccessControlPolicy, document) == AccessControlPolicy(
        owner=Owner(id="o"), access_control_list=(Grant(grantee=grantee, permission="READ"),)
    )


def test_wrapped_list_that_is_empty_is_not_one_that_is_missing():
    assert xml.read(Tagging, b"<Tagging><TagSet/></Tagging>") == Tagging(tag_set=())
    assert xml.read(CreateBucketConfiguration, b"<CreateBucketConfiguration/>").tags is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig", "iso-8859-1"])
def test_encodings_of_xml_are_read(encoding: str):
    name = encoding.removesuffix("-sig")
    document = f'<?xml version="1.0" encoding="{name}"?><Delete><Object><Key>é</Key></Object></Delete>'
    assert xml.read(Delete, document.encode(encoding)).objects[0].key == "é"


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        b"\x00",
        b"text",
        b"{}",
        b"<Delete>",
        b"<Delete></Object>",
        b"<Delete/><Delete/>",
        b"<Delete/>text",
        b"<Delete>text</Delete>",
        b"<Tagging/>",
        b"<delete/>",
        b"<o:Delete/>",
        b'<Delete a="1" a="2"/>',
        b"<Delete>&unknown;</Delete>",
        b"<Delete><Quiet>true</Quiet><Quiet>true</Quiet></Delete>",
        b"<Delete><Object>text<Key>a</Key></Object></Delete>",
        b"<Delete><Object/></Delete>",
        b"<Delete><Object><Key>\xff</Key></Object></Delete>",
        b"\xff\xfe<\x00D",
        b'<?xml version="1.0" encoding="utf-7"?><Delete/>',
        b'<?xml version="1.0" encoding="unicode_escape"?><Delete/>',
        b'<?xml version="1.0" encoding="nonsense"?><Delete/>',
        b'<?xml version="1.0" encoding="utf-16"?><Delete/>',
    ],
)
def test_what_is_no_document_of_the_operation_is_malformed(document: bytes):
    assert_malformed(Delete, document)


@pytest.mark.parametrize("character", [0, 1, 8, 0x0B, 0x0C, 0x0E, 0x1F])
def test_control_characters_are_malformed(character: int):
    """S3-CHECKLIST 52: raw control characters, or references to them: 400 MalformedXML."""
    assert_malformed(Delete, b"<Delete><Object><Key>a%cb</Key></Object></Delete>" % character)
    assert_malformed(Delete, b"<Delete><Object><Key>a&#%d;b</Key></Object></Delete>" % character)


@pytest.mark.parametrize("text", ["", "TRUE", "yes", "2", "tru e"])
def test_what_is_no_boolean_is_malformed(text: str):
    assert_malformed(Delete, f"<Delete><Quiet>{text}</Quiet></Delete>".encode())


@pytest.mark.parametrize(
    "text", ["", "-", "+-1", "1.0", "0x1", "1e3", "1_000", "²", "٣", "9" * 21, "9" * 5000]
)
def test_what_is_no_integer_is_malformed(text: str):
    part = f"<Part><ETag>e</ETag><PartNumber>{text}</PartNumber></Part>"
    assert_malformed(
        CompleteMultipartUpload, f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    )


@pytest.mark.parametrize("missing", ["<ETag>e</ETag>", "<PartNumber>1</PartNumber>"])
def test_what_is_required_and_missing_is_malformed(missing: str):
    document = f"<CompleteMultipartUpload><Part>{missing}</Part></CompleteMultipartUpload>"
    assert_malformed(CompleteMultipartUpload, document.encode())


def test_second_wrapper_of_a_list_is_malformed():
    assert_malformed(Tagging, b"<Tagging><TagSet/><TagSet/></Tagging>")


def test_text_in_the_wrapper_of_a_list_is_malformed():
    assert_malformed(Tagging, b"<Tagging><TagSet>text</TagSet></Tagging>")


def outcome(shape: type, document: bytes) -> str:
    """The name of what came of it; any exception but S3Error passes."""
    try:
        return type(xml.read(shape, document)).__name__
    except S3Error as error:
        return error.code


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_malformed(data: bytes):
    assert outcome(Delete, data) in ("Delete", "MalformedXML")


MARKUP = st.sampled_from(
    b"<Delete> </Delete> <Object> </Object> <Key> </Key> <Quiet/> <Size> </Size> <x:y/> <!-- --> <![CDATA[ "
    b"]]> <?p ?> &#9; &lt; a 1".split()
)


@given(st.lists(MARKUP, max_size=30).map(b"".join))
def test_any_markup_is_a_document_or_malformed(data: bytes):
    assert outcome(Delete, b"<Delete>" + data + b"</Delete>") in ("Delete", "MalformedXML")


# --- bombs and bounds -------------------------------------------------------------------------------


def bomb(declarations: str) -> str:
    return f"<!DOCTYPE d [{declarations}]><Delete><Object><Key>&a;</Key></Object></Delete>"


BOMBS = {
    "laughs": bomb(
        '<!ENTITY z "haha">' + "".join(f'<!ENTITY {x} "{f"&{y};" * 10}">' for x, y in pairwise("abcdefgz"))
    ),
    "quadratic": bomb(f'<!ENTITY b "{"b" * 50_000}"><!ENTITY a "{"&b;" * 1000}">'),
    "external": bomb('<!ENTITY a SYSTEM "file:///etc/passwd">'),
    "parameter": bomb('<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;'),
    "public": '<!DOCTYPE Delete PUBLIC "-//x//y" "http://127.0.0.1:1/x"><Delete/>',
    "declaration": "<!DOCTYPE Delete><Delete/>",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_malformed_and_cost_no_memory(kind: str):
    tracemalloc.start()
    try:
        assert_malformed(Delete, BOMBS[kind].encode())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("element", ["New", "Object", "o:New"])
def test_nesting_is_bounded(element: str):
    def nested(depth: int) -> bytes:
        inner = f"<{element}>" * depth + f"</{element}>" * depth
        return f'<CreateBucketConfiguration xmlns:o="urn:o">{inner}</CreateBucketConfiguration>'.encode()

    assert xml.read(CreateBucketConfiguration, nested(DEPTH - 1)) == CreateBucketConfiguration()
    assert_malformed(CreateBucketConfiguration, nested(DEPTH))
    assert_malformed(CreateBucketConfiguration, nested(100_000))


def test_attributes_are_bounded():
    few = " ".join(f'a{n}="1"' for n in range(ATTRIBUTES))
    assert xml.read(Delete, f"<Delete {few}/>".encode()) == Delete()
    assert_malformed(Delete, f'<Delete {few} more="1"/>'.encode())


def test_limits_admit_a_thousand_long_keys():
    """S3-CHECKLIST 52: 1,000 keys of 1,024 bytes, each of them escaped."""
    version = "<VersionId>null</VersionId>"
    item = f"<Object><Key>{'&amp;' * 1024}</Key>{version}</Object>"
    document = f'<Delete xmlns="{NAMESPACE}">{item * 1000}<Quiet>true</Quiet></Delete>'.encode()
    assert len(document) <= XML_BYTES
    assert xml.read(Delete, document) == Delete(
        objects=(ObjectIdentifier(key="&" * 1024, version_id="null"),) * 1000, quiet=True
    )


def test_limits_admit_ten_thousand_parts_with_checksums():
    """S3-CHECKLIST 52: 10,000 parts with their longest checksum."""
    checksum = f"<ChecksumSHA512>{'A' * 88}</ChecksumSHA512>"
    items = "".join(
        f"  <Part>\n    {checksum}\n    <ETag>&quot;{number:032x}&quot;</ETag>\n"
        f"    <PartNumber>{number}</PartNumber>\n  </Part>\n"
        for number in range(1, 10_001)
    )
    document = f'<CompleteMultipartUpload xmlns="{NAMESPACE}">\n{items}</CompleteMultipartUpload>'.encode()
    assert len(document) <= XML_BYTES
    parts = xml.read(CompleteMultipartUpload, document).parts
    assert [part.part_number for part in parts] == list(range(1, 10_001))
    assert parts[-1] == CompletedPart(e_tag=f'"{10_000:032x}"', checksum_sha512="A" * 88, part_number=10_000)
