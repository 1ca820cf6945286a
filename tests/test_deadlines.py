"""No property of hypothesis is a matter of time: the machine's load would decide."""

from bleepstore.testing import storage
from hypothesis import settings


def test_examples_have_no_deadline_in_any_suite() -> None:
    assert settings.default.deadline is None  # by the conftest.py above all suites


def test_examples_of_the_published_kits_have_none_whatever_the_profile() -> None:
    assert storage.patient.deadline is None
