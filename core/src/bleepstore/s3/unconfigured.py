"""Sub-resources that are not built, read and deleted where nothing is configured.

Provisioning and backup tools ask every bucket for these before they do anything, and give up on
501. A bucket of this server has none of them, so the true answer is AWS's answer for a bucket on
which nothing was set: an empty document, or a 404 with the sub-resource's own code. Deleting what
is absent succeeds. Setting one has no handler here and answers 501.

Authority: the pages of these operations in https://docs.aws.amazon.com/AmazonS3/latest/API/
"""

from __future__ import annotations

from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Handler, Reply
from bleepstore.s3.documents import XML_TYPE

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

_DOCUMENTS = {
    "GetBucketVersioning": "<VersioningConfiguration{}/>",
    "GetBucketAccelerateConfiguration": "<AccelerateConfiguration{}/>",
    "GetBucketLogging": "<BucketLoggingStatus{}/>",
    "GetBucketNotificationConfiguration": "<NotificationConfiguration{}/>",
    "GetBucketRequestPayment": (
        "<RequestPaymentConfiguration{}><Payer>BucketOwner</Payer></RequestPaymentConfiguration>"
    ),
    "ListBucketAnalyticsConfigurations": (
        "<ListBucketAnalyticsConfigurationResult{}><IsTruncated>false</IsTruncated>"
        "</ListBucketAnalyticsConfigurationResult>"
    ),
    "ListBucketInventoryConfigurations": (
        "<ListInventoryConfigurationsResult{}><IsTruncated>false</IsTruncated>"
        "</ListInventoryConfigurationsResult>"
    ),
    "ListBucketMetricsConfigurations": (
        "<ListMetricsConfigurationsResult{}><IsTruncated>false</IsTruncated>"
        "</ListMetricsConfigurationsResult>"
    ),
    "ListBucketIntelligentTieringConfigurations": (
        "<ListBucketIntelligentTieringConfigurationsOutput{}><IsTruncated>false</IsTruncated>"
        "</ListBucketIntelligentTieringConfigurationsOutput>"
    ),
}
"""What is read as empty; ``{}`` is the place of the namespace."""

_ABSENT = {
    "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketOwnershipControls": "OwnershipControlsNotFoundError",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "GetPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
}
"""What answers 404, and with which code."""

_LOCKS = ("GetObjectLegalHold", "GetObjectRetention")

_DELETES = (
    "DeleteBucketAnalyticsConfiguration",
    "DeleteBucketEncryption",
    "DeleteBucketIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration",
    "DeleteBucketLifecycle",
    "DeleteBucketMetricsConfiguration",
    "DeleteBucketOwnershipControls",
    "DeleteBucketReplication",
    "DeleteBucketWebsite",
    "DeletePublicAccessBlock",
)

_ENFORCED = (
    "<OwnershipControls{}><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
    "</OwnershipControls>"
)


def _constant(template: str) -> Handler:
    root = template.format(f' xmlns="{NAMESPACE}"')
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{root}'.encode()

    async def read(x: Exchange) -> Reply:
        return Reply(headers={"content-type": XML_TYPE}, body=body)

    return read


def _absent(code: str) -> Handler:
    async def read(x: Exchange) -> Reply:
        raise S3Error(code, BucketName=x.bucket_name or "")

    return read


async def _unlocked(x: Exchange) -> Reply:
    raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")


async def _deleted(x: Exchange) -> Reply:
    return Reply(status=204)


def _ownership(absent: Handler) -> Handler:
    """With ACLs disabled for the whole server its buckets do have ownership controls."""
    enforced = _constant(_ENFORCED)

    async def read(x: Exchange) -> Reply:
        return await (enforced if x.services.settings.auth.acls == "disabled" else absent)(x)

    return read


UNCONFIGURED: dict[str, Handler] = {
    **{name: _constant(template) for name, template in _DOCUMENTS.items()},
    **{name: _absent(code) for name, code in _ABSENT.items()},
    **dict.fromkeys(_LOCKS, _unlocked),
    **dict.fromkeys(_DELETES, _deleted),
    "GetBucketOwnershipControls": _ownership(_absent(_ABSENT["GetBucketOwnershipControls"])),
}
"""Handler by operation name."""
