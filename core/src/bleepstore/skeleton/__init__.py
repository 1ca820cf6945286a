"""``bleepstore plugin new``: skeletons of distributions that pass their own tests as they are written.

Files ``*.in`` are the text of a file, with ``@NAME@`` (as in ``storage.backend``), ``@DISTRIBUTION@``,
``@PACKAGE@`` and ``@CLASS@`` in place of names.
"""
