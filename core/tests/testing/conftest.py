import pytest

KITS = ("storage", "native_storage", "plugin_hygiene", "s3")
pytest.register_assert_rewrite(*(f"bleepstore.testing.{kit}" for kit in KITS))
