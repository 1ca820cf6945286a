"""Objects come in and go out in bulk: ``bleepstore import``, ``export``, ``rescan``.

They work on a store that no server has open, and can be cut off at any point: each object is whole
or not there, and the next run goes on with what is missing. ``console`` runs a command and prints what
it found; ``tree`` and ``endpoint`` are the two kinds of places outside: a local directory and S3.
"""
