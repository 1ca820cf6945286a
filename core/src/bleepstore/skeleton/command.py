"""The command ``plugin``: its options, and what it says."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

RIGHT, WRONG = 0, 2


def configure(parser: ArgumentParser) -> None:
    """``plugin new backend NAME [DIR] [--native]``."""
    parser.set_defaults(run=None)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser("new", help="write a distribution to begin from")
    kinds = new.add_subparsers(metavar="KIND", required=True)
    backend = kinds.add_parser("backend", help="a storage backend, with tests that pass")
    backend.add_argument("name", metavar="NAME", help="what storage.backend will say: a-z, 0-9 and _")
    backend.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="folder to make (bleepstore-backend-NAME)"
    )
    text = "objects lie under bucket and key with their own properties (clouds); else the core names blobs"
    backend.add_argument("--native", action="store_true", help=text)
    backend.set_defaults(run=new_backend)


def new_backend(options: Namespace) -> int:
    """Write it, and say how to go on."""
    from bleepstore.skeleton.distribution import Refused, Skeleton

    try:
        skeleton = Skeleton(options.name, native=options.native)
        folder = options.directory or Path(skeleton.distribution)
        files = skeleton.write(folder)
    except Refused as error:
        sys.stderr.write(f"bleepstore: {error}\n")
        return WRONG
    lines = [
        *(f"  {folder / file}" for file in files),
        "",
        f"  cd {folder}",
        "  pip install -e '.[test]' && pytest",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return RIGHT
