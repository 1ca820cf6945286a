"""What is not expected to pass through a gateway, each with its reason; everything else must.

A name is that of the kit (``area::test[parameters]``) or of the smoke test (``smoke::check``); with ``*`` at
its end it stands for all that begin so. A test that is named here and passes is as red as one that fails
and is not: a list that nobody checks hides what is lost.
"""

from __future__ import annotations

from collections.abc import Mapping

_KEY = "objects::test_any_key_is_put_read_listed_and_deleted"

# Upstream takes names of 1,024 bytes (Azure: characters), and prefix and bucket stand before the key.
_ROOM = "a key of 1,024 bytes has no room behind the prefix and the bucket in a name upstream"
_OF_1024_ASCII = {f"{_KEY}['xxxxx*": _ROOM}
_OF_1024_BYTES = {**_OF_1024_ASCII, f"{_KEY}['\\\\xe9*": _ROOM}

# SeaweedFS takes keys for paths of files, and what ends with a slash for a folder.
_FOLDER = "SeaweedFS keeps no bytes under a key that ends with a slash"
_PATH = "SeaweedFS has no object `a` beside `a/b` or `a/`"
_SEAWEEDFS = {
    f"{_KEY}['dir/']": _FOLDER,
    f"{_KEY}['trailing/']": _FOLDER,
    "objects::test_a_folder_marker_keeps_its_content_type_and_body": _FOLDER,
    "copies::test_sources_with_any_key_are_found[//two//]": _FOLDER,
    "presigned::test_keys_that_need_encoding[//two//]": _FOLDER,
    "virtual_hosts::test_objects_are_put_and_read[dir/]": _FOLDER,
    "virtual_hosts::test_a_bucket_with_dots_is_addressed": _FOLDER,
    "objects::test_a_key_beside_its_own_folder_and_marker": _PATH,
    "listing::test_keys_are_listed_in_the_order_of_their_utf8_bytes*": _PATH,
    "listing::test_a_common_prefix_counts_once_and_is_on_one_page_only*": _PATH,
}

PINS: Mapping[str, Mapping[str, str]] = {
    "local": {},
    "memory-native": {},
    "aws(moto)": _OF_1024_BYTES,
    "aws(seaweedfs)": {**_OF_1024_BYTES, **_SEAWEEDFS},
    "aws(bleepstore)": _OF_1024_BYTES,
    "gcp(fake-gcs)": _OF_1024_BYTES,
    "gcp(strict)": _OF_1024_BYTES,
    "azure(azurite)": _OF_1024_ASCII,
}
