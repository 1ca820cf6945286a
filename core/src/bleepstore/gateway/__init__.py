"""Native layout above storage and metadata: writes that are decided here and happen upstream.

::

    Reserve ──> publish(expect=token) ──> CommitObject, CompleteUpload
       │             │ TokenMismatch: adopt what is there, decide again
       │             │ no answer:     resolve the intent by what upstream holds
       └─ Reserve ──> delete(token) ────> DeleteObject

Nothing here knows HTTP or S3's documents; ``s3.native`` does. :class:`~bleepstore.gateway.writes.Gateway`
is what ``Services.gateway`` holds; it is ``None`` with a backend of opaque layout.
"""
