"""What holds for the tests of every distribution."""

import logging
from contextlib import suppress

with suppress(ModuleNotFoundError):  # some suites also run where there is nothing but them
    from hypothesis import settings

    # How long one example takes is the machine's load, and no property of what is tested.
    settings.register_profile("bleepstore", deadline=None)
    settings.load_profile("bleepstore")


def pytest_runtest_teardown() -> None:
    """A command that ran in this process has left its log on a standard error that is gone."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:  # those of pytest are of classes of their own
            root.removeHandler(handler)
    logging.getLogger("bleepstore").setLevel(logging.NOTSET)
