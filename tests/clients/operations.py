"""The names of the operations of ``scripts/exercise.py``, by what a client must be able to do for them."""

BUCKET = ["create bucket"]
OBJECTS = ["put small", "put empty", "put large", "get", "get large"]
READING = ["get ranged", "size", "get what is missing"]
KEYS = [
    f"key with {what}"
    for what in (
        "space",
        "plus",
        "percent",
        "percent and digits",
        "equals",
        "unicode",
        "punctuation",
    )
]
DOUBLE_SLASH = ["key with double slash"]
COPYING = ["copy large", "move"]
METADATA = ["metadata"]
CONDITIONS = ["put if absent"]
PRESIGNED = ["presigned GET", "presigned PUT"]
TREES = ["sync up", "sync down"]
LISTING = ["list 1500 keys", "list with a delimiter"]
DELETING = ["delete many"]

EVERYTHING = [
    *BUCKET,
    *OBJECTS,
    *READING,
    *KEYS,
    *DOUBLE_SLASH,
    *COPYING,
    *METADATA,
    *CONDITIONS,
    *PRESIGNED,
    *TREES,
    *LISTING,
    *DELETING,
]


def all_but(*groups: list[str]) -> list[str]:
    """Everything but these."""
    left_out = {name for group in groups for name in group}
    return [name for name in EVERYTHING if name not in left_out]
