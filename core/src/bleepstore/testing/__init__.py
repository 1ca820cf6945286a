"""Conformance kits: what a storage backend and a metadata engine promise, as tests that others inherit.

``bleepstore.testing.metadata`` is the kit of ``bleepstore.metadata.MetadataEngine``, and
``bleepstore.testing.storage`` that of ``bleepstore.storage.StorageBackend``. A plugin's author
writes one class with one fixture and inherits every test. ``bleepstore.testing.s3`` is the kit of
whole S3 servers, which ``bleepstore conformance`` runs. The kits import pytest; the server
imports neither.
"""
