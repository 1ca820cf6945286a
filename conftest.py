"""What holds for the tests of every distribution."""

from contextlib import suppress

with suppress(ModuleNotFoundError):  # some suites also run where there is nothing but them
    from hypothesis import settings

    # How long one example takes is the machine's load, and no property of what is tested.
    settings.register_profile("bleepstore", deadline=None)
    settings.load_profile("bleepstore")
