"""``GET /_bleepstore/health/live``, ``/health/ready`` and ``/openapi/s3.yaml``.

Nobody needs to sign for them: they say nothing of what is stored.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bleepstore.exchange import Services
from bleepstore.metadata import MetadataUnavailable

YAML_TYPE = "application/yaml"
PROBE = "health-probe"
"""Any name will do: whether the bucket exists is not asked, only whether the engine answers."""


def routes(services: Services) -> list[BaseRoute]:
    """The routes of one server."""

    async def live(request: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "live"})

    async def ready(request: Request) -> Response:
        """The metadata can be read: requests will be answered."""
        try:
            await services.metadata.bucket(PROBE)
        except MetadataUnavailable as error:
            return JSONResponse({"status": "unavailable", "reason": str(error)}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def s3_schema(request: Request) -> Response:
        """The OpenAPI schema of the S3 API."""
        schema = files("bleepstore.admin").joinpath("s3-api.openapi.yaml").read_bytes()
        return Response(schema, media_type=YAML_TYPE)

    # No Mount: it would take every path below it from the routes of other plugins.
    return [
        Route("/_bleepstore/health/live", live),
        Route("/_bleepstore/health/ready", ready),
        Route("/_bleepstore/openapi/s3.yaml", s3_schema),
    ]
