"""What is not expected to pass through a gateway, each with its reason; everything else must.

A name is that of the kit (``area::test[parameters]``) or of the smoke test (``smoke::check``); with ``*`` at
its end it stands for all that begin so. A test that is named here and passes is as red as one that fails
and is not: a list that nobody checks hides what is lost.
"""

from __future__ import annotations

from collections.abc import Mapping

PINS: Mapping[str, Mapping[str, str]] = {
    "local": {},
    "memory-native": {},
    "aws(moto)": {},
    "aws(seaweedfs)": {},
    "aws(bleepstore)": {},
    "azure(azurite)": {},
}
