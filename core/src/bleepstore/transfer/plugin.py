"""The built-in plugin with the commands ``import``, ``export`` and ``rescan``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bleepstore.plugin import API_VERSION, CommandSpec, hookimpl


class TransferPlugin:
    """Objects that come in and go out in bulk."""

    name = "transfer"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_commands(self) -> Iterable[CommandSpec]:
        """The commands; their modules are imported when one is asked for."""
        return (
            CommandSpec(
                name="import",
                help="take in objects: those upstream, of a directory, or of another S3 endpoint",
                configure=_configure_import,
                run=_import,
                store=True,
            ),
            CommandSpec(
                name="export",
                help="copy objects out, into a directory or to another S3 endpoint",
                configure=_configure_export,
                run=_export,
                store=True,
            ),
            CommandSpec(
                name="rescan",
                help="compare the metadata with what is upstream, while no server runs",
                configure=_configure_rescan,
                run=_rescan,
                store=True,
            ),
        )


def _configure_import(parser: Any) -> None:
    from bleepstore.transfer.importing import configure

    configure(parser)


def _import(options: Any) -> int:
    from bleepstore.transfer.importing import run

    return run(options)


def _configure_export(parser: Any) -> None:
    from bleepstore.transfer.exporting import configure

    configure(parser)


def _export(options: Any) -> int:
    from bleepstore.transfer.exporting import run

    return run(options)


def _configure_rescan(parser: Any) -> None:
    from bleepstore.transfer.rescanning import configure

    configure(parser)


def _rescan(options: Any) -> int:
    from bleepstore.transfer.rescanning import run

    return run(options)


plugin = TransferPlugin()
