"""Where the example is not installed: its source beside these tests."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "src"))
pytest.register_assert_rewrite("bleepstore.testing.storage")
