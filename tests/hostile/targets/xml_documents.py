"""Documents: whatever the bytes are, a shape or an error; and what was read is written and read alike."""

from __future__ import annotations

from bleepstore import xml
from bleepstore.errors import S3Error
from bleepstore.xml.bodies import REPLIES, REQUESTS

WORDS = (
    *(
        b"<Tagging>",
        b"<TagSet>",
        b"<Tag>",
        b"<Key>",
        b"</Key>",
        b"<Value>",
        b"<Delete>",
        b"<Object>",
        b"<Quiet>true</Quiet>",
    ),
    *(
        b"<CompleteMultipartUpload>",
        b"<Part>",
        b"<PartNumber>",
        b"<ETag>",
        b"<CORSConfiguration>",
        b"<CORSRule>",
    ),
    *(
        b"<AccessControlPolicy>",
        b"<Grant>",
        b"<Grantee",
        b' xsi:type="CanonicalUser"',
        b"<CreateBucketConfiguration>",
    ),
    *(
        b'<?xml version="1.0" encoding="UTF-8"?>',
        b"utf-16",
        b"unicode_escape",
        b"<!DOCTYPE a>",
        b"<!ENTITY a 'b'>",
        b"&a;",
    ),
    *(
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<?a?>",
        b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
        b"&#13;",
        b"&#x0;",
    ),
)
SHAPES = tuple(dict.fromkeys([*REQUESTS.values(), *REPLIES.values()]))


def check(data: bytes) -> None:
    """Check one document as every shape."""
    for shape in SHAPES:
        try:
            found = xml.read(shape, data)
        except S3Error as error:
            refused = error.code
            assert refused == "MalformedXML"
            continue
        written = xml.write(found)
        assert xml.write(xml.read(shape, written)) == written
