"""``python -m bleepstore`` is the ``bleepstore`` command."""

import sys

from bleepstore.cli import main

sys.exit(main())
