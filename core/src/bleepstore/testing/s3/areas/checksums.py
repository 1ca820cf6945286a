"""Checksums: given, computed, verified, kept, returned, and combined.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html (and
checking-object-integrity-upload.html for the types of multipart checksums), the shapes
``ChecksumAlgorithm`` and ``ChecksumType`` of the SDK's model, RFC 1864 for Content-MD5.
"""

import base64
import hashlib
import zlib

import pytest
from awscrt import checksums as crt

from bleepstore.testing.s3.expectations import PART, refused, send

BODY = b"The quick brown fox jumps over the lazy dog"


def crc(function, size):
    return lambda body: function(body).to_bytes(size, "big")


DIGESTS = {
    "CRC32": crc(zlib.crc32, 4),
    "CRC32C": crc(crt.crc32c, 4),
    "CRC64NVME": crc(crt.crc64nvme, 8),
    "SHA1": lambda body: hashlib.sha1(body).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
}
LATER = {
    "SHA512": lambda body: hashlib.sha512(body).digest(),
    "MD5": lambda body: hashlib.md5(body).digest(),
}
"""Algorithms that older SDKs do not compute themselves; XXHASH needs a library that this suite does not."""


def b64(data):
    return base64.b64encode(data).decode()


def checksum(algorithm, body=BODY):
    return b64({**DIGESTS, **LATER}[algorithm](body))


def stored(s3, bucket, key="k", **parameters):
    return s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **parameters)


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_the_sdk_computes_it_and_the_server_keeps_it(s3, bucket, algorithm):
    """S3-CHECKLIST 6"""
    name = f"Checksum{algorithm}"
    reply = s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm=algorithm)
    assert reply[name] == checksum(algorithm)
    assert stored(s3, bucket)[name] == checksum(algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got[name], got["ChecksumType"]) == (checksum(algorithm), "FULL_OBJECT")
    assert got["Body"].read() == BODY


@pytest.mark.parametrize("algorithm", [*DIGESTS, *LATER])
def test_a_given_one_is_verified_and_kept(s3, bucket, algorithm):
    """S3-CHECKLIST 6"""
    name = f"Checksum{algorithm}"
    reply = s3.put_object(Bucket=bucket, Key="k", Body=BODY, **{name: checksum(algorithm)})
    assert reply[name] == checksum(algorithm)
    assert stored(s3, bucket)[name] == checksum(algorithm)


@pytest.mark.parametrize("algorithm", [*DIGESTS, *LATER])
def test_a_wrong_one_is_refused_and_nothing_stored(s3, bucket, algorithm):
    """S3-CHECKLIST 6, S3-CHECKLIST 44"""
    wrong = {f"Checksum{algorithm}": checksum(algorithm, b"else")}
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=BODY, **wrong)
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize("value", ["not base64", b64(b"too long for a crc")])
def test_one_that_cannot_be_one_is_refused(s3, bucket, value):
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumCRC32=value)


def test_two_at_once_are_refused(s3, bucket):
    with refused("InvalidRequest", 400):
        s3.put_object(
            Bucket=bucket,
            Key="k",
            Body=BODY,
            ChecksumCRC32=checksum("CRC32"),
            ChecksumSHA256=checksum("SHA256"),
        )


def test_without_any_the_server_computes_crc64nvme(s3, bucket, make_client):
    client = make_client(request_checksum_calculation="when_required")
    client.put_object(Bucket=bucket, Key="k", Body=BODY)
    assert stored(s3, bucket)["ChecksumCRC64NVME"] == checksum("CRC64NVME")


def test_it_is_returned_only_when_asked_for(bucket, make_client):
    """S3-CHECKLIST 6"""
    client = make_client(response_checksum_validation="when_required")
    client.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm="CRC32")
    assert "ChecksumCRC32" not in client.get_object(Bucket=bucket, Key="k")
    assert "ChecksumCRC32" not in client.head_object(Bucket=bucket, Key="k")


def test_it_is_left_out_of_ranges(s3, bucket):
    """S3-CHECKLIST 6"""
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm="CRC32")
    reply = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", Range="bytes=0-3")
    assert "ChecksumCRC32" not in reply


def test_listings_name_the_algorithm(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm="SHA256")
    entry = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (entry["ChecksumAlgorithm"], entry["ChecksumType"]) == (["SHA256"], "FULL_OBJECT")


def test_a_copy_keeps_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm="SHA1")
    reply = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert reply["CopyObjectResult"]["ChecksumSHA1"] == checksum("SHA1")
    assert stored(s3, bucket, "copy")["ChecksumSHA1"] == checksum("SHA1")


def test_a_copy_may_ask_for_another(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm="SHA1")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", ChecksumAlgorithm="SHA256")
    assert stored(s3, bucket, "copy")["ChecksumSHA256"] == checksum("SHA256")


# --- Content-MD5 and the payload hash ---------------------------------------------------------------------


def test_a_right_content_md5_is_accepted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ContentMD5=b64(hashlib.md5(BODY).digest()))


def test_a_wrong_content_md5_is_a_bad_digest(s3, bucket):
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=BODY, ContentMD5=b64(hashlib.md5(b"else").digest()))
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize("value", ["not base64!", b64(b"short")])
def test_a_content_md5_that_cannot_be_one_is_invalid(s3, bucket, value):
    with refused("InvalidDigest", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=BODY, ContentMD5=value)


def test_a_presigned_checksum_header_is_enforced(s3, bucket):
    """S3-CHECKLIST 14"""
    given = {"Bucket": bucket, "Key": "k", "ChecksumSHA256": checksum("SHA256")}
    url = s3.generate_presigned_url("put_object", given)
    headers = {"x-amz-checksum-sha256": checksum("SHA256")}
    answer = send(url, "PUT", b"another body", headers)
    assert answer.status in (400, 403)
    assert send(url, "PUT", BODY, headers).status == 200


# --- multipart --------------------------------------------------------------------------------------------


class Upload:
    """One upload of a large and a small part, with what is known of their checksums."""

    bodies = (bytes(range(256)) * (PART // 256), BODY)

    def __init__(self, s3, bucket, algorithm=None, kind=None, **part_parameters):
        self.s3 = s3
        parameters = {"ChecksumAlgorithm": algorithm} if algorithm else {}
        if kind:
            parameters["ChecksumType"] = kind
        self.created = s3.create_multipart_upload(Bucket=bucket, Key="k", **parameters)
        self.names = {"Bucket": bucket, "Key": "k", "UploadId": self.created["UploadId"]}
        self.parts = []
        if algorithm:
            part_parameters = {"ChecksumAlgorithm": algorithm, **part_parameters}
        for number, body in enumerate(self.bodies, 1):
            reply = s3.upload_part(**self.names, PartNumber=number, Body=body, **part_parameters)
            sums = {name: value for name, value in reply.items() if name == f"Checksum{algorithm}"}
            self.parts.append({"PartNumber": number, "ETag": reply["ETag"], **sums})

    def complete(self, **parameters):
        return self.s3.complete_multipart_upload(
            **self.names, MultipartUpload={"Parts": self.parts}, **parameters
        )


def composite(algorithm):
    digest = DIGESTS[algorithm]
    return b64(digest(b"".join(digest(body) for body in Upload.bodies))) + "-2"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_composite_is_the_checksum_of_checksums(s3, bucket, algorithm):
    """S3-CHECKLIST 7"""
    upload = Upload(s3, bucket, algorithm)
    assert upload.created["ChecksumAlgorithm"] == algorithm
    assert upload.created["ChecksumType"] == "COMPOSITE"
    assert [part[f"Checksum{algorithm}"] for part in upload.parts] == [
        checksum(algorithm, body) for body in Upload.bodies
    ]
    reply = upload.complete()
    assert (reply[f"Checksum{algorithm}"], reply["ChecksumType"]) == (composite(algorithm), "COMPOSITE")
    head = stored(s3, bucket)
    assert (head[f"Checksum{algorithm}"], head["ChecksumType"]) == (composite(algorithm), "COMPOSITE")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_full_object_is_the_checksum_of_all_bytes(s3, bucket, algorithm):
    """S3-CHECKLIST 7"""
    upload = Upload(s3, bucket, algorithm, "FULL_OBJECT")
    reply = upload.complete()
    whole = checksum(algorithm, b"".join(Upload.bodies))
    assert (reply[f"Checksum{algorithm}"], reply["ChecksumType"]) == (whole, "FULL_OBJECT")
    assert stored(s3, bucket)[f"Checksum{algorithm}"] == whole


def test_crc64nvme_is_full_object_by_default(s3, bucket):
    """S3-CHECKLIST 7"""
    upload = Upload(s3, bucket, "CRC64NVME")
    assert upload.created["ChecksumType"] == "FULL_OBJECT"
    whole = checksum("CRC64NVME", b"".join(Upload.bodies))
    assert upload.complete()["ChecksumCRC64NVME"] == whole


def test_an_upload_without_algorithm_gets_crc64nvme_of_all_bytes(s3, bucket):
    """S3-CHECKLIST 7"""
    reply = Upload(s3, bucket).complete()
    whole = checksum("CRC64NVME", b"".join(Upload.bodies))
    assert (reply["ChecksumCRC64NVME"], reply["ChecksumType"]) == (whole, "FULL_OBJECT")


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")],
)
def test_types_that_an_algorithm_does_not_have_are_refused(s3, bucket, algorithm, kind):
    """S3-CHECKLIST 7"""
    with refused("InvalidRequest", 400):
        s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)


def test_a_wrong_checksum_of_a_part_is_a_bad_digest(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    names = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    with refused("BadDigest", 400):
        s3.upload_part(**names, PartNumber=1, Body=BODY, ChecksumSHA256=checksum("SHA256", b"else"))
    assert "Parts" not in s3.list_parts(**names)


def test_completing_with_another_checksum_of_a_part_is_an_invalid_part(s3, bucket):
    """S3-CHECKLIST 7"""
    upload = Upload(s3, bucket, "SHA256")
    upload.parts[1]["ChecksumSHA256"] = checksum("SHA256", b"else")
    with refused("InvalidPart", 400):
        upload.complete()


def test_completing_a_composite_without_checksums_of_parts_is_refused(s3, bucket):
    """S3-CHECKLIST 7"""
    upload = Upload(s3, bucket, "SHA256")
    for part in upload.parts:
        del part["ChecksumSHA256"]
    with refused("InvalidRequest", 400):
        upload.complete()


def test_a_full_object_checksum_given_on_completion_is_verified(s3, bucket):
    upload = Upload(s3, bucket, "CRC32", "FULL_OBJECT")
    with refused("BadDigest", 400):
        upload.complete(ChecksumCRC32=checksum("CRC32", b"else"), ChecksumType="FULL_OBJECT")
    whole = checksum("CRC32", b"".join(Upload.bodies))
    assert upload.complete(ChecksumCRC32=whole, ChecksumType="FULL_OBJECT")["ChecksumCRC32"] == whole


def test_the_size_given_on_completion_is_verified(s3, bucket):
    upload = Upload(s3, bucket, "CRC32")
    with refused("InvalidRequest", 400):
        upload.complete(MpuObjectSize=7)
    upload.complete(MpuObjectSize=sum(map(len, Upload.bodies)))


def test_a_read_of_a_part_gives_the_parts_checksum(s3, bucket):
    """S3-CHECKLIST 7, S3-CHECKLIST 30"""
    Upload(s3, bucket, "SHA256").complete()
    found = stored(s3, bucket, PartNumber=2)
    assert (found["ChecksumSHA256"], found["ChecksumType"]) == (checksum("SHA256"), "COMPOSITE")


def test_a_page_of_no_parts_is_not_the_first_of_many(s3, bucket):
    Upload(s3, bucket, "SHA256").complete()
    reply = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"], MaxParts=0)
    assert reply["ObjectParts"]["IsTruncated"] is False


def test_parts_are_listed_with_their_checksums(s3, bucket):
    upload = Upload(s3, bucket, "SHA256")
    reply = s3.list_parts(**upload.names)
    assert (reply["ChecksumAlgorithm"], reply["ChecksumType"]) == ("SHA256", "COMPOSITE")
    assert reply["Parts"][1]["ChecksumSHA256"] == checksum("SHA256")


def test_attributes_list_the_parts_of_an_object_with_checksums(s3, bucket):
    """S3-CHECKLIST 56"""
    Upload(s3, bucket, "SHA256").complete()
    reply = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts"], MaxParts=1
    )
    assert reply["Checksum"]["ChecksumSHA256"] == composite("SHA256").removesuffix("-2")
    assert reply["Checksum"]["ChecksumType"] == "COMPOSITE"
    parts = reply["ObjectParts"]
    assert (parts["TotalPartsCount"], parts["IsTruncated"], parts["NextPartNumberMarker"]) == (2, True, 1)
    assert [(p["PartNumber"], p["Size"]) for p in parts["Parts"]] == [(1, PART)]
    assert parts["Parts"][0]["ChecksumSHA256"] == checksum("SHA256", Upload.bodies[0])


def test_a_copy_of_a_composite_object_has_a_full_object_checksum(s3, bucket):
    """S3-CHECKLIST 7"""
    Upload(s3, bucket, "SHA256").complete()
    reply = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")["CopyObjectResult"]
    whole = checksum("SHA256", b"".join(Upload.bodies))
    assert (reply["ChecksumSHA256"], reply["ChecksumType"]) == (whole, "FULL_OBJECT")


# --- documents --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_documents_carry_any_of_them(s3, bucket, algorithm):
    """S3-CHECKLIST 8"""
    delete = {"Objects": [{"Key": "missing"}]}
    s3.delete_objects(Bucket=bucket, Delete=delete, ChecksumAlgorithm=algorithm)
    tags = {"TagSet": [{"Key": "a", "Value": "1"}]}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tags, ChecksumAlgorithm=algorithm)
