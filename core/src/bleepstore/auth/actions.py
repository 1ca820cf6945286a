"""The actions that a bucket policy may name.

Authority: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
(those on buckets and objects). A statement with another action would deny or allow nothing without
anybody noticing, so it is refused.
"""

from __future__ import annotations

_NAMES = """
AbortMultipartUpload BypassGovernanceRetention CreateBucketMetadataTableConfiguration CreateSession
DeleteBucket DeleteBucketMetadataTableConfiguration DeleteBucketPolicy DeleteBucketWebsite DeleteObject
DeleteObjectAnnotation DeleteObjectTagging DeleteObjectVersion DeleteObjectVersionTagging
GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS
GetBucketLocation GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification
GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration
GetLifecycleConfiguration GetMetricsConfiguration GetObject GetObjectAcl GetObjectAnnotation
GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent
GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes GetObjectVersionForReplication
GetObjectVersionTagging GetObjectVersionTorrent GetReplicationConfiguration InitiateReplication ListBucket
ListBucketMultipartUploads ListBucketVersions ListMultipartUploadParts ListObjectAnnotations
ObjectOwnerOverrideToBucketOwner PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAbac
PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration
PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment
PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
PutMetricsConfiguration PutObject PutObjectAcl PutObjectAnnotation PutObjectLegalHold PutObjectRetention
PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging PutReplicationConfiguration ReplicateDelete
ReplicateObject ReplicateTags RestoreObject UpdateBucketMetadataInventoryTableConfiguration
UpdateBucketMetadataJournalTableConfiguration UpdateObjectEncryption
"""

ACTIONS = frozenset(f"s3:{name.lower()}" for name in _NAMES.split())
"""In lower case: IAM compares action names without it."""
_WITHOUT_THE_WORD = frozenset(
    {
        "s3:abortmultipartupload",
        "s3:bypassgovernanceretention",
        "s3:initiatereplication",
        "s3:listmultipartuploadparts",
        "s3:replicatedelete",
        "s3:replicatetags",
    }
)
OBJECT_ACTIONS = _WITHOUT_THE_WORD | {
    action for action in ACTIONS if "object" in action and "bucketobjectlock" not in action
}
"""Those on objects; the others are on the bucket."""
