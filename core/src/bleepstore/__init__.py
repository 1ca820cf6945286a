"""BleepStore: an S3-compatible object store as a microkernel with plugins.

The package holds the contracts that plugins are written against (``plugin``, ``hookspecs``,
``storage``, ``metadata``, ``commands``, ``operations``, ``exchange``, ``events``, ``settings``,
``testing``) and the S3 protocol itself. It imports no plugin; plugins are found through the
entry-point group ``bleepstore``.
"""

__version__ = "0.1.0"
