"""The documents of the S3 API, in the order and with the names of the SDK's model.

A class is named after the document element, or, inside of one, as the model names the shape. Times
are text already (``http.dates.iso_time``), ETags have their quotes.
"""

from __future__ import annotations

from dataclasses import dataclass

from bleepstore.xml.shape import element

# --- what many have ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksums:
    """The ten checksums, of which a reply has one: base64."""

    checksum_crc32: str | None = None
    checksum_crc32c: str | None = None
    checksum_crc64nvme: str | None = None
    checksum_sha1: str | None = None
    checksum_sha256: str | None = None
    checksum_sha512: str | None = None
    checksum_md5: str | None = None
    checksum_xxhash64: str | None = None
    checksum_xxhash3: str | None = None
    checksum_xxhash128: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """An account."""

    display_name: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiator:
    """Who began an upload."""

    id: str | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonPrefix:
    """Keys that a delimiter rolled up."""

    prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag."""

    key: str | None = element(required=True)
    value: str | None = element(required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagging:
    """The tags of a bucket or an object."""

    tag_set: tuple[Tag, ...] | None = element(wrapped="Tag", required=True)


# --- buckets ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket of a listing."""

    name: str | None = None
    creation_date: str | None = None
    bucket_region: str | None = None
    bucket_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAllMyBucketsResult:
    """ListBuckets."""

    buckets: tuple[Bucket, ...] | None = element(wrapped="Bucket", default=())
    owner: Owner | None = None
    continuation_token: str | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationInfo:
    """Where a directory bucket is."""

    type: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketInfo:
    """What kind of directory bucket is meant."""

    data_redundancy: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBucketConfiguration:
    """The body of CreateBucket."""

    location_constraint: str | None = None
    location: LocationInfo | None = None
    bucket: BucketInfo | None = None
    tags: tuple[Tag, ...] | None = element(wrapped="Tag")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationConstraint:
    """GetBucketLocation: the region, or nothing in us-east-1."""

    region: str | None = element(text=True)


# --- ACLs -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Grantee:
    """Who is granted something: CanonicalUser, AmazonCustomerByEmail or Group."""

    display_name: str | None = None
    email_address: str | None = None
    id: str | None = None
    type: str | None = element("type", attribute=True)
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One grant."""

    grantee: Grantee | None = None
    permission: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessControlPolicy:
    """An ACL. Replies have the owner first, as AWS does."""

    owner: Owner | None = None
    access_control_list: tuple[Grant, ...] | None = element(wrapped="Grant")


# --- listings ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreStatus:
    """Whether an archived object is being restored."""

    is_restore_in_progress: bool | None = None
    restore_expiry_date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One object of a listing."""

    key: str | None = None
    last_modified: str | None = None
    e_tag: str | None = element("ETag")
    checksum_algorithm: tuple[str, ...] = ()
    checksum_type: str | None = None
    size: int | None = None
    storage_class: str | None = None
    owner: Owner | None = None
    restore_status: RestoreStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBucketResult:
    """ListObjects and ListObjectsV2."""

    is_truncated: bool | None = None
    marker: str | None = None
    next_marker: str | None = None
    contents: tuple[Object, ...] = ()
    name: str | None = None
    prefix: str | None = None
    delimiter: str | None = None
    max_keys: int | None = None
    common_prefixes: tuple[CommonPrefix, ...] = ()
    encoding_type: str | None = None
    key_count: int | None = None
    continuation_token: str | None = None
    next_continuation_token: str | None = None
    start_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """One version of a listing."""

    e_tag: str | None = element("ETag")
    checksum_algorithm: tuple[str, ...] = ()
    checksum_type: str | None = None
    size: int | None = None
    storage_class: str | None = None
    key: str | None = None
    version_id: str | None = None
    is_latest: bool | None = None
    last_modified: str | None = None
    owner: Owner | None = None
    restore_status: RestoreStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteMarkerEntry:
    """One delete marker of a listing."""

    owner: Owner | None = None
    key: str | None = None
    version_id: str | None = None
    is_latest: bool | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListVersionsResult:
    """ListObjectVersions."""

    is_truncated: bool | None = None
    key_marker: str | None = None
    version_id_marker: str | None = None
    next_key_marker: str | None = None
    next_version_id_marker: str | None = None
    versions: tuple[ObjectVersion, ...] = element("Version", default=())
    delete_markers: tuple[DeleteMarkerEntry, ...] = element("DeleteMarker", default=())
    name: str | None = None
    prefix: str | None = None
    delimiter: str | None = None
    max_keys: int | None = None
    common_prefixes: tuple[CommonPrefix, ...] = ()
    encoding_type: str | None = None


# --- objects ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyObjectResult(Checksums):
    """CopyObject."""

    e_tag: str | None = element("ETag")
    last_modified: str | None = None
    checksum_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectIdentifier:
    """One object of DeleteObjects."""

    key: str | None = element(required=True)
    version_id: str | None = None
    e_tag: str | None = element("ETag")
    last_modified_time: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """The body of DeleteObjects."""

    objects: tuple[ObjectIdentifier, ...] = element("Object", default=())
    quiet: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedObject:
    """One object that is gone."""

    key: str | None = None
    version_id: str | None = None
    delete_marker: bool | None = None
    delete_marker_version_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """One object that is not."""

    key: str | None = None
    version_id: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """DeleteObjects."""

    deleted: tuple[DeletedObject, ...] = ()
    errors: tuple[Error, ...] = element("Error", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum(Checksums):
    """The checksum of an object's attributes."""

    checksum_type: str | None = element(last=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPart(Checksums):
    """One part of an object's attributes."""

    part_number: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetObjectAttributesParts:
    """The parts of an object's attributes."""

    parts_count: int | None = None
    part_number_marker: int | None = None
    next_part_number_marker: int | None = None
    max_parts: int | None = None
    is_truncated: bool | None = None
    parts: tuple[ObjectPart, ...] = element("Part", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class GetObjectAttributesResponse:
    """GetObjectAttributes."""

    e_tag: str | None = element("ETag")
    checksum: Checksum | None = None
    object_parts: GetObjectAttributesParts | None = None
    storage_class: str | None = None
    object_size: int | None = None


# --- multipart --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateMultipartUploadResult:
    """CreateMultipartUpload."""

    bucket: str | None = None
    key: str | None = None
    upload_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPartResult(Checksums):
    """UploadPartCopy."""

    e_tag: str | None = element("ETag")
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedPart(Checksums):
    """One part that CompleteMultipartUpload names."""

    e_tag: str | None = element("ETag", required=True)
    part_number: int | None = element(last=True, required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteMultipartUpload:
    """The body of CompleteMultipartUpload."""

    parts: tuple[CompletedPart, ...] = element("Part", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteMultipartUploadResult(Checksums):
    """CompleteMultipartUpload."""

    location: str | None = None
    bucket: str | None = None
    key: str | None = None
    e_tag: str | None = element("ETag")
    checksum_type: str | None = element(last=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartUpload:
    """One upload of a listing."""

    upload_id: str | None = None
    key: str | None = None
    initiated: str | None = None
    storage_class: str | None = None
    owner: Owner | None = None
    initiator: Initiator | None = None
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMultipartUploadsResult:
    """ListMultipartUploads."""

    bucket: str | None = None
    key_marker: str | None = None
    upload_id_marker: str | None = None
    next_key_marker: str | None = None
    prefix: str | None = None
    delimiter: str | None = None
    next_upload_id_marker: str | None = None
    max_uploads: int | None = None
    is_truncated: bool | None = None
    uploads: tuple[MultipartUpload, ...] = element("Upload", default=())
    common_prefixes: tuple[CommonPrefix, ...] = ()
    encoding_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Checksums):
    """One part of a listing."""

    part_number: int | None = None
    last_modified: str | None = None
    e_tag: str | None = element("ETag")
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPartsResult:
    """ListParts."""

    bucket: str | None = None
    key: str | None = None
    upload_id: str | None = None
    part_number_marker: int | None = None
    next_part_number_marker: int | None = None
    max_parts: int | None = None
    is_truncated: bool | None = None
    parts: tuple[Part, ...] = element("Part", default=())
    initiator: Initiator | None = None
    owner: Owner | None = None
    storage_class: str | None = None
    checksum_algorithm: str | None = None
    checksum_type: str | None = None


# --- what is configured for a bucket ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CORSRule:
    """What pages of some origins may do."""

    id: str | None = None
    allowed_headers: tuple[str, ...] = element("AllowedHeader", default=())
    allowed_methods: tuple[str, ...] = element("AllowedMethod", default=())
    allowed_origins: tuple[str, ...] = element("AllowedOrigin", default=())
    expose_headers: tuple[str, ...] = element("ExposeHeader", default=())
    max_age_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CORSConfiguration:
    """The rules of a bucket, in order."""

    cors_rules: tuple[CORSRule, ...] = element("CORSRule", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatus:
    """GetBucketPolicyStatus."""

    is_public: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostResponse:
    """The reply to a form with ``success_action_status`` 201; the one document without a namespace."""

    location: str | None = None
    bucket: str | None = None
    key: str | None = None
    e_tag: str | None = element("ETag")
