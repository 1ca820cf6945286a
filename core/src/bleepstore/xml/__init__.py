"""XML documents: shapes as dataclasses, one reader and one writer.

Authority: the SDK's model of the API (element names, order, flattening), which is the oracle in
tests and is never imported by the server. ``shapes`` holds the documents.
"""

from bleepstore.xml.reader import read
from bleepstore.xml.writer import Fragment, escape, is_plain, write

__all__ = ["Fragment", "escape", "is_plain", "read", "write"]
