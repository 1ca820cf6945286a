"""Which shape is the body of which operation.

Handlers name their shapes themselves; this is the list by which tests hold them against the SDK's
model and ``schemas/generate.py`` names the elements of the OpenAPI document.
"""

from __future__ import annotations

from bleepstore.xml import shapes

REQUESTS: dict[str, type] = {
    "CompleteMultipartUpload": shapes.CompleteMultipartUpload,
    "CreateBucket": shapes.CreateBucketConfiguration,
    "DeleteObjects": shapes.Delete,
    "PutBucketAcl": shapes.AccessControlPolicy,
    "PutBucketCors": shapes.CORSConfiguration,
    "PutBucketTagging": shapes.Tagging,
    "PutObjectAcl": shapes.AccessControlPolicy,
    "PutObjectTagging": shapes.Tagging,
}
"""XML bodies of requests, by operation."""

REPLIES: dict[str, type] = {
    "CompleteMultipartUpload": shapes.CompleteMultipartUploadResult,
    "CopyObject": shapes.CopyObjectResult,
    "CreateMultipartUpload": shapes.InitiateMultipartUploadResult,
    "DeleteObjects": shapes.DeleteResult,
    "GetBucketAcl": shapes.AccessControlPolicy,
    "GetBucketCors": shapes.CORSConfiguration,
    "GetBucketLocation": shapes.LocationConstraint,
    "GetBucketPolicyStatus": shapes.PolicyStatus,
    "GetBucketTagging": shapes.Tagging,
    "GetObjectAcl": shapes.AccessControlPolicy,
    "GetObjectAttributes": shapes.GetObjectAttributesResponse,
    "GetObjectTagging": shapes.Tagging,
    "ListBuckets": shapes.ListAllMyBucketsResult,
    "ListMultipartUploads": shapes.ListMultipartUploadsResult,
    "ListObjectVersions": shapes.ListVersionsResult,
    "ListObjects": shapes.ListBucketResult,
    "ListObjectsV2": shapes.ListBucketResult,
    "ListParts": shapes.ListPartsResult,
    "UploadPartCopy": shapes.CopyPartResult,
}
"""XML bodies of replies, by operation."""
