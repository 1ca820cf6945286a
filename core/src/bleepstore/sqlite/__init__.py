"""The built-in metadata engine: a deterministic state machine over SQLite, and what runs it.

``state.apply`` is shared with every engine that applies the same commands; see
``specs/metadata-schema.md``.
"""
