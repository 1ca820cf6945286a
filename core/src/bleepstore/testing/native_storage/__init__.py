"""The conformance kit of storage backends of native layout.

One class, one fixture, every test inherited, as in ``bleepstore.testing.storage``::

    from bleepstore.testing.native_storage import NativeStorageKit
    from bleepstore.testing.storage import StorageFactory

    class TestCloud(NativeStorageKit):
        capabilities = Capabilities(layout=Layout.NATIVE, inline=False)
        kept_headers = NativeStorageKit.kept_headers - {"expires"}

        @pytest.fixture
        def make_backend(self) -> StorageFactory:
            return lambda: CloudBackend("an-empty-container")

What a cloud cannot do is declared by the class attributes of :class:`~.cloud.CloudKit`: everything
else is expected. ``pytest.register_assert_rewrite("bleepstore.testing.native_storage")`` in a
``conftest.py`` makes failed assertions tell what they compared.
"""

from __future__ import annotations

from bleepstore.testing.native_storage.cloud import CloudKit
from bleepstore.testing.native_storage.copies import CopyTests
from bleepstore.testing.native_storage.listings import ListingTests
from bleepstore.testing.native_storage.multipart import MultipartTests
from bleepstore.testing.native_storage.names import NameTests
from bleepstore.testing.native_storage.objects import ObjectTests
from bleepstore.testing.native_storage.publishing import PublishingTests

__all__ = ["CloudKit", "NativeStorageKit"]


class NativeStorageKit(
    PublishingTests,
    ObjectTests,
    NameTests,
    CopyTests,
    MultipartTests,
    ListingTests,
):
    """What every backend of native layout promises. Inherit it and override ``make_backend``."""
