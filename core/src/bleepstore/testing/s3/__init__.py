"""The conformance kit of S3 servers: what clients expect of any server, as tests that boto3 drives.

``bleepstore conformance --endpoint URL`` runs all of it and prints a table.
As part of a suite of one's own: a ``conftest.py`` with ::

    import pytest

    pytest.register_assert_rewrite("bleepstore.testing.s3")

    from bleepstore.testing.s3.fixtures import *
    from bleepstore.testing.s3.target import Account, Target

    @pytest.fixture(scope="session")
    def target():
        return Target("http://127.0.0.1:8333", Account("access-key", "secret-key"))

and for each area that counts, a ``test_AREA.py`` with ::

    from bleepstore.testing.s3.areas.listing import *

Every test makes its own buckets and removes them. A test says where the rule is written that it checks.
pytest and boto3 come with the extra ``conformance`` of ``bleepstore-core``; the server imports neither.
"""
