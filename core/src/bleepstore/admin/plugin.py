"""The built-in plugin with the routes of this room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bleepstore.exchange import Services
from bleepstore.plugin import API_VERSION, Context, hookimpl

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class AdminPlugin:
    """Health and schemas."""

    name = "admin"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_routes(self, context: Context, services: Services) -> Iterable[BaseRoute]:
        """The routes of :mod:`bleepstore.admin.routes`."""
        from bleepstore.admin.routes import routes

        return routes(services)


plugin = AdminPlugin()
