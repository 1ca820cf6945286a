"""What tests say of replies, and one plain HTTP request: the kit's own, for the suites beside this one."""

from bleepstore.testing.s3.expectations import Answer, fetch, refused, send

__all__ = ["Answer", "fetch", "refused", "send"]
