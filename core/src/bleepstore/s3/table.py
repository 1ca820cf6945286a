"""The operation table: a row for every operation of the SDK's model.

Authority: the model (method, path, query) and, for permissions,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#acl-access-policy-permission-mapping
A row without a handler answers 501. Two operations of the model have no row: ListDirectoryBuckets
(the request of ListBuckets, at another endpoint) and WriteGetObjectResponse (Object Lambda).
"""

from __future__ import annotations

from bleepstore.exchange import Handler
from bleepstore.operations import AclRight, Load, Operation, Permission, Scope
from bleepstore.s3 import (
    acls,
    attributes,
    buckets,
    copying,
    cors,
    deleting,
    listing,
    multipart,
    objects,
    parts,
    policies,
    posting,
    reading,
    tagging,
    versions,
)
from bleepstore.s3.unconfigured import UNCONFIGURED

SERVICE, BUCKET, OBJECT = Scope.SERVICE, Scope.BUCKET, Scope.OBJECT
READ, WRITE = AclRight.READ, AclRight.WRITE
READ_ACP, WRITE_ACP = AclRight.READ_ACP, AclRight.WRITE_ACP
OWNER, SIGNED = AclRight.OWNER, AclRight.SIGNED

EXCLUDED = frozenset({"ListDirectoryBuckets", "WriteGetObjectResponse"})
"""Operations of the model without a row."""

_READ_SOURCE = Permission(action="s3:GetObject", right=READ, on=OBJECT)


def _row(
    name: str,
    method: str,
    scope: Scope,
    *query: str,
    right: AclRight = OWNER,
    on: Scope | None = None,
    action: str | None = None,
    loads: Load = Load.BUCKET,
    headers: tuple[str, ...] = (),
    source: Permission | None = None,
    per_key: bool = False,
    handler: Handler | None = None,
    aliases: tuple[str, ...] = (),
) -> Operation:
    """A row; what is not said is the owner's, about the bucket, and not built."""
    return Operation(
        name=name,
        method=method,
        scope=scope,
        query=query,
        headers=headers,
        permission=Permission(action=f"s3:{action or _iam_action(name)}", right=right, on=on or BUCKET),
        source=source,
        per_key=per_key,
        loads=loads,
        handler=handler or UNCONFIGURED.get(name),
        aliases=aliases,
    )


_IAM_NOUNS = {
    "BucketEncryption": "EncryptionConfiguration",
    "BucketLifecycle": "LifecycleConfiguration",
    "BucketNotificationConfiguration": "BucketNotification",
    "BucketOwnershipControls": "BucketOwnershipControls",
    "BucketReplication": "ReplicationConfiguration",
    "ObjectLockConfiguration": "BucketObjectLockConfiguration",
    "PublicAccessBlock": "BucketPublicAccessBlock",
}


def _iam_action(name: str) -> str:
    """IAM has one action to read a configuration and one to change it, whatever the operations are."""
    for verb, action in (("Get", "Get"), ("List", "Get"), ("Put", "Put"), ("Delete", "Put")):
        if name.startswith(verb):
            noun = name.removeprefix(verb)
            noun = noun.removesuffix("s") if noun.endswith("Configurations") else noun
            if noun in _IAM_NOUNS:
                return action + _IAM_NOUNS[noun]
            if noun.startswith("Bucket") and noun.endswith("Configuration"):
                return action + noun.removeprefix("Bucket")
    return name


SERVICE_ROWS = (
    _row(
        "ListBuckets",
        "GET",
        SERVICE,
        right=SIGNED,
        on=SERVICE,
        action="ListAllMyBuckets",
        loads=Load.NOTHING,
        handler=buckets.list_buckets,
    ),
)

BUCKET_ROWS = (
    _row(
        "CreateBucket",
        "PUT",
        BUCKET,
        right=SIGNED,
        on=SERVICE,
        loads=Load.NOTHING,
        handler=buckets.create_bucket,
    ),
    _row("DeleteBucket", "DELETE", BUCKET, handler=buckets.delete_bucket),
    _row("HeadBucket", "HEAD", BUCKET, right=READ, action="ListBucket", handler=buckets.head_bucket),
    _row("GetBucketLocation", "GET", BUCKET, "location", handler=buckets.get_bucket_location),
    _row("GetBucketAcl", "GET", BUCKET, "acl", right=READ_ACP, handler=acls.get_bucket_acl),
    _row("PutBucketAcl", "PUT", BUCKET, "acl", right=WRITE_ACP, handler=acls.put_bucket_acl),
    _row("GetBucketTagging", "GET", BUCKET, "tagging", handler=tagging.get_bucket_tagging),
    _row("PutBucketTagging", "PUT", BUCKET, "tagging", handler=tagging.put_bucket_tagging),
    _row(
        "DeleteBucketTagging",
        "DELETE",
        BUCKET,
        "tagging",
        action="PutBucketTagging",
        handler=tagging.delete_bucket_tagging,
    ),
    _row("ListObjects", "GET", BUCKET, right=READ, action="ListBucket", handler=listing.list_objects),
    _row(
        "ListObjectsV2",
        "GET",
        BUCKET,
        "list-type=2",
        right=READ,
        action="ListBucket",
        handler=listing.list_objects_v2,
    ),
    _row(
        "ListObjectVersions",
        "GET",
        BUCKET,
        "versions",
        right=READ,
        action="ListBucketVersions",
        handler=versions.list_object_versions,
    ),
    _row(
        "ListMultipartUploads",
        "GET",
        BUCKET,
        "uploads",
        right=READ,
        action="ListBucketMultipartUploads",
        handler=multipart.list_multipart_uploads,
    ),
    _row(
        "DeleteObjects",
        "POST",
        BUCKET,
        "delete",
        right=WRITE,
        action="DeleteObject",
        per_key=True,
        handler=deleting.delete_objects,
    ),
)

# What opens a bucket to others than its owner.
SHARING_ROWS = (
    _row("GetBucketCors", "GET", BUCKET, "cors", action="GetBucketCORS", handler=cors.get_bucket_cors),
    _row("PutBucketCors", "PUT", BUCKET, "cors", action="PutBucketCORS", handler=cors.put_bucket_cors),
    _row(
        "DeleteBucketCors", "DELETE", BUCKET, "cors", action="PutBucketCORS", handler=cors.delete_bucket_cors
    ),
    _row("GetBucketPolicy", "GET", BUCKET, "policy", handler=policies.get_bucket_policy),
    _row("PutBucketPolicy", "PUT", BUCKET, "policy", handler=policies.put_bucket_policy),
    _row("DeleteBucketPolicy", "DELETE", BUCKET, "policy", handler=policies.delete_bucket_policy),
    _row("GetBucketPolicyStatus", "GET", BUCKET, "policyStatus", handler=policies.get_bucket_policy_status),
)

OBJECT_ROWS = (
    _row(
        "GetObject", "GET", OBJECT, right=READ, on=OBJECT, loads=Load.OBJECT_DATA, handler=reading.get_object
    ),
    _row(
        "HeadObject",
        "HEAD",
        OBJECT,
        right=READ,
        on=OBJECT,
        action="GetObject",
        loads=Load.OBJECT,
        handler=reading.head_object,
    ),
    _row("PutObject", "PUT", OBJECT, right=WRITE, handler=objects.put_object),
    # A form names its key, and who signed it, in its body.
    _row(
        "PostObject",
        "POST",
        BUCKET,
        right=WRITE,
        action="PutObject",
        per_key=True,
        handler=posting.post_object,
    ),
    _row("DeleteObject", "DELETE", OBJECT, right=WRITE, handler=deleting.delete_object),
    _row(
        "CopyObject",
        "PUT",
        OBJECT,
        right=WRITE,
        action="PutObject",
        headers=("x-amz-copy-source",),
        source=_READ_SOURCE,
        handler=copying.copy_object,
    ),
    _row(
        "GetObjectAttributes",
        "GET",
        OBJECT,
        "attributes",
        right=READ,
        on=OBJECT,
        loads=Load.OBJECT,
        handler=attributes.get_object_attributes,
    ),
    _row(
        "GetObjectAcl",
        "GET",
        OBJECT,
        "acl",
        right=READ_ACP,
        on=OBJECT,
        loads=Load.OBJECT,
        handler=acls.get_object_acl,
    ),
    _row(
        "PutObjectAcl",
        "PUT",
        OBJECT,
        "acl",
        right=WRITE_ACP,
        on=OBJECT,
        loads=Load.OBJECT,
        handler=acls.put_object_acl,
    ),
    _row(
        "GetObjectTagging",
        "GET",
        OBJECT,
        "tagging",
        on=OBJECT,
        loads=Load.OBJECT,
        handler=tagging.get_object_tagging,
    ),
    _row(
        "PutObjectTagging",
        "PUT",
        OBJECT,
        "tagging",
        on=OBJECT,
        loads=Load.OBJECT,
        handler=tagging.put_object_tagging,
    ),
    _row(
        "DeleteObjectTagging",
        "DELETE",
        OBJECT,
        "tagging",
        on=OBJECT,
        loads=Load.OBJECT,
        handler=tagging.delete_object_tagging,
    ),
)

MULTIPART_ROWS = (
    _row(
        "CreateMultipartUpload",
        "POST",
        OBJECT,
        "uploads",
        right=WRITE,
        action="PutObject",
        handler=multipart.create_multipart_upload,
    ),
    _row(
        "UploadPart",
        "PUT",
        OBJECT,
        "uploadId",
        "partNumber",
        right=WRITE,
        action="PutObject",
        loads=Load.UPLOAD,
        handler=parts.upload_part,
    ),
    _row(
        "UploadPartCopy",
        "PUT",
        OBJECT,
        "uploadId",
        "partNumber",
        right=WRITE,
        action="PutObject",
        headers=("x-amz-copy-source",),
        loads=Load.UPLOAD,
        source=_READ_SOURCE,
        handler=copying.upload_part_copy,
    ),
    _row(
        "CompleteMultipartUpload",
        "POST",
        OBJECT,
        "uploadId",
        right=WRITE,
        action="PutObject",
        loads=Load.UPLOAD,
        handler=multipart.complete_multipart_upload,
    ),
    _row(
        "AbortMultipartUpload",
        "DELETE",
        OBJECT,
        "uploadId",
        right=WRITE,
        loads=Load.UPLOAD,
        handler=multipart.abort_multipart_upload,
    ),
    _row(
        "ListParts",
        "GET",
        OBJECT,
        "uploadId",
        right=WRITE,
        action="ListMultipartUploadParts",
        loads=Load.UPLOAD,
        handler=parts.list_parts,
    ),
)

# Configurations of a bucket: read as absent where ``unconfigured`` says so, and else not built.
CONFIGURATION_ROWS = (
    _row("GetBucketAbac", "GET", BUCKET, "abac"),
    _row("PutBucketAbac", "PUT", BUCKET, "abac"),
    _row("GetBucketAccelerateConfiguration", "GET", BUCKET, "accelerate"),
    _row("PutBucketAccelerateConfiguration", "PUT", BUCKET, "accelerate"),
    _row("GetBucketAnalyticsConfiguration", "GET", BUCKET, "analytics", "id"),
    _row("ListBucketAnalyticsConfigurations", "GET", BUCKET, "analytics"),
    _row("PutBucketAnalyticsConfiguration", "PUT", BUCKET, "analytics"),
    _row("DeleteBucketAnalyticsConfiguration", "DELETE", BUCKET, "analytics"),
    _row("GetBucketEncryption", "GET", BUCKET, "encryption"),
    _row("PutBucketEncryption", "PUT", BUCKET, "encryption"),
    _row("DeleteBucketEncryption", "DELETE", BUCKET, "encryption"),
    _row("GetBucketIntelligentTieringConfiguration", "GET", BUCKET, "intelligent-tiering", "id"),
    _row("ListBucketIntelligentTieringConfigurations", "GET", BUCKET, "intelligent-tiering"),
    _row("PutBucketIntelligentTieringConfiguration", "PUT", BUCKET, "intelligent-tiering"),
    _row("DeleteBucketIntelligentTieringConfiguration", "DELETE", BUCKET, "intelligent-tiering"),
    _row("GetBucketInventoryConfiguration", "GET", BUCKET, "inventory", "id"),
    _row("ListBucketInventoryConfigurations", "GET", BUCKET, "inventory"),
    _row("PutBucketInventoryConfiguration", "PUT", BUCKET, "inventory"),
    _row("DeleteBucketInventoryConfiguration", "DELETE", BUCKET, "inventory"),
    _row("GetBucketLifecycleConfiguration", "GET", BUCKET, "lifecycle", aliases=("GetBucketLifecycle",)),
    _row("PutBucketLifecycleConfiguration", "PUT", BUCKET, "lifecycle", aliases=("PutBucketLifecycle",)),
    _row("DeleteBucketLifecycle", "DELETE", BUCKET, "lifecycle"),
    _row("GetBucketLogging", "GET", BUCKET, "logging"),
    _row("PutBucketLogging", "PUT", BUCKET, "logging"),
    _row("GetBucketMetadataConfiguration", "GET", BUCKET, "metadataConfiguration"),
    _row("CreateBucketMetadataConfiguration", "POST", BUCKET, "metadataConfiguration"),
    _row("DeleteBucketMetadataConfiguration", "DELETE", BUCKET, "metadataConfiguration"),
    _row("GetBucketMetadataTableConfiguration", "GET", BUCKET, "metadataTable"),
    _row("CreateBucketMetadataTableConfiguration", "POST", BUCKET, "metadataTable"),
    _row("DeleteBucketMetadataTableConfiguration", "DELETE", BUCKET, "metadataTable"),
    _row("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", BUCKET, "metadataAnnotationTable"),
    _row("UpdateBucketMetadataInventoryTableConfiguration", "PUT", BUCKET, "metadataInventoryTable"),
    _row("UpdateBucketMetadataJournalTableConfiguration", "PUT", BUCKET, "metadataJournalTable"),
    _row("GetBucketMetricsConfiguration", "GET", BUCKET, "metrics", "id"),
    _row("ListBucketMetricsConfigurations", "GET", BUCKET, "metrics"),
    _row("PutBucketMetricsConfiguration", "PUT", BUCKET, "metrics"),
    _row("DeleteBucketMetricsConfiguration", "DELETE", BUCKET, "metrics"),
    _row(
        "GetBucketNotificationConfiguration",
        "GET",
        BUCKET,
        "notification",
        aliases=("GetBucketNotification",),
    ),
    _row(
        "PutBucketNotificationConfiguration",
        "PUT",
        BUCKET,
        "notification",
        aliases=("PutBucketNotification",),
    ),
    _row("GetObjectLockConfiguration", "GET", BUCKET, "object-lock"),
    _row("PutObjectLockConfiguration", "PUT", BUCKET, "object-lock"),
    _row("GetBucketOwnershipControls", "GET", BUCKET, "ownershipControls"),
    _row("PutBucketOwnershipControls", "PUT", BUCKET, "ownershipControls"),
    _row("DeleteBucketOwnershipControls", "DELETE", BUCKET, "ownershipControls"),
    _row("GetPublicAccessBlock", "GET", BUCKET, "publicAccessBlock"),
    _row("PutPublicAccessBlock", "PUT", BUCKET, "publicAccessBlock"),
    _row("DeletePublicAccessBlock", "DELETE", BUCKET, "publicAccessBlock"),
    _row("GetBucketReplication", "GET", BUCKET, "replication"),
    _row("PutBucketReplication", "PUT", BUCKET, "replication"),
    _row("DeleteBucketReplication", "DELETE", BUCKET, "replication"),
    _row("GetBucketRequestPayment", "GET", BUCKET, "requestPayment"),
    _row("PutBucketRequestPayment", "PUT", BUCKET, "requestPayment"),
    _row("CreateSession", "GET", BUCKET, "session"),
    _row("GetBucketVersioning", "GET", BUCKET, "versioning"),
    _row("PutBucketVersioning", "PUT", BUCKET, "versioning"),
    _row("GetBucketWebsite", "GET", BUCKET, "website"),
    _row("PutBucketWebsite", "PUT", BUCKET, "website"),
    _row("DeleteBucketWebsite", "DELETE", BUCKET, "website"),
)

# What is asked of one object and not built, or answered as for a bucket without object lock.
EXTRA_ROWS = (
    _row("GetObjectAnnotation", "GET", OBJECT, "annotation", "annotationName"),
    _row("ListObjectAnnotations", "GET", OBJECT, "annotation"),
    _row("PutObjectAnnotation", "PUT", OBJECT, "annotation"),
    _row("DeleteObjectAnnotation", "DELETE", OBJECT, "annotation"),
    _row("GetObjectLegalHold", "GET", OBJECT, "legal-hold", on=OBJECT, loads=Load.OBJECT),
    _row("PutObjectLegalHold", "PUT", OBJECT, "legal-hold", on=OBJECT, loads=Load.OBJECT),
    _row("GetObjectRetention", "GET", OBJECT, "retention", on=OBJECT, loads=Load.OBJECT),
    _row("PutObjectRetention", "PUT", OBJECT, "retention", on=OBJECT, loads=Load.OBJECT),
    _row("GetObjectTorrent", "GET", OBJECT, "torrent", right=READ, on=OBJECT, loads=Load.OBJECT),
    _row("RenameObject", "PUT", OBJECT, "renameObject", right=WRITE),
    _row("RestoreObject", "POST", OBJECT, "restore", on=OBJECT, loads=Load.OBJECT),
    _row("SelectObjectContent", "POST", OBJECT, "select", right=READ, on=OBJECT, loads=Load.OBJECT),
    _row("UpdateObjectEncryption", "PUT", OBJECT, "encryption", on=OBJECT, loads=Load.OBJECT),
)

ROWS: tuple[Operation, ...] = (
    *SERVICE_ROWS,
    *BUCKET_ROWS,
    *SHARING_ROWS,
    *OBJECT_ROWS,
    *MULTIPART_ROWS,
    *CONFIGURATION_ROWS,
    *EXTRA_ROWS,
)
"""All rows of S3."""
