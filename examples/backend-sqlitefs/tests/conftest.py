import pytest

pytest.register_assert_rewrite(
    "bleepstore.testing.storage",
    "bleepstore.testing.scrubbed_storage",
    "bleepstore.testing.plugin_hygiene",
)
