"""django-storages."""

from collections.abc import Callable

from operations import KEYS, LISTING, OBJECTS, PRESIGNED, READING


def test_django_storages(run_script: Callable[..., None]) -> None:
    operations = [
        *OBJECTS,
        *READING,
        *KEYS,
        *PRESIGNED,
        *LISTING,
        "content type and compression",
        "exists",
        "modified time",
        "never overwrites when told",
        "write a file",
    ]
    run_script("boto", "django_client", operations, "django-storages")
