"""The conformance kit of metadata engines: one class, one fixture, every test inherited.

Example::

    import pytest
    from bleepstore.testing.metadata import MetadataKit

    class TestMyEngine(MetadataKit):
        @pytest.fixture
        def make_engine(self, tmp_path):
            return lambda: MyEngine(tmp_path)

``make_engine`` gives a callable that makes an engine, not started, over *the same place* each time
it is called: that is how the kit restarts one. anyio's pytest plugin, which comes with the core,
runs the tests on asyncio. ``pytest.register_assert_rewrite("bleepstore.testing.metadata")`` in a
``conftest.py`` makes failed assertions tell what they compared.
"""

from __future__ import annotations

from bleepstore.testing.metadata.buckets import BucketTests
from bleepstore.testing.metadata.copies import CopyTests
from bleepstore.testing.metadata.inline import InlineTests
from bleepstore.testing.metadata.listings import ListingTests
from bleepstore.testing.metadata.native import NativeTests
from bleepstore.testing.metadata.objects import ObjectTests
from bleepstore.testing.metadata.races import RaceTests
from bleepstore.testing.metadata.store import Store
from bleepstore.testing.metadata.upkeep import UpkeepTests
from bleepstore.testing.metadata.uploads import UploadTests

__all__ = ["MetadataKit", "Store"]


class MetadataKit(
    BucketTests,
    ObjectTests,
    ListingTests,
    CopyTests,
    UploadTests,
    InlineTests,
    NativeTests,
    UpkeepTests,
    RaceTests,
):
    """What every metadata engine promises. Inherit it and override ``make_engine``."""
