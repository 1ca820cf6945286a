"""The tests of the kit, an area of S3 a module, in the order in which a report names them."""

AREAS = (
    "buckets",
    "objects",
    "ranges",
    "deletes",
    "conditions",
    "listing",
    "copies",
    "multipart",
    "checksums",
    "tagging",
    "versions",
    "acls",
    "policies",
    "cors",
    "presigned",
    "post_forms",
    "virtual_hosts",
    "unconfigured",
    "errors",
)
"""Names of the modules beside this one."""
