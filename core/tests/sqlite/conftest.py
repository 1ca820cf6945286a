"""What the tests of this room share: time, an engine that is stopped again, and a line of its process."""

import pytest

pytest.register_assert_rewrite("bleepstore.testing.metadata")
