"""S3 errors: one table of codes, and the one exception that becomes an error document.

Authority: the model's error shapes and https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from collections.abc import Mapping

# code -> (HTTP status, message as AWS words it)
CODES: dict[str, tuple[int, str]] = {
    "AccessDenied": (403, "Access Denied"),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidRequest": (400, "Invalid Request"),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented."),
    "ServiceUnavailable": (503, "Please reduce your request rate."),
}


class S3Error(Exception):
    """An error a client is answered with.

    ``elements`` are the extra XML elements AWS adds (``BucketName``, ``Key``, ``ArgumentName`` ...);
    ``headers`` are extra reply headers. The status comes from the table.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **elements: str,
    ) -> None:
        status, default = CODES[code]
        super().__init__(code, message or default)
        self.code = code
        self.status = status
        self.message = message or default
        self.headers = dict(headers or {})
        self.elements = elements
