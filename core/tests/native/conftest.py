from collections.abc import AsyncIterator

import pytest
from blocking_service import Backend, Service


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def backend(service: Service) -> AsyncIterator[Backend]:
    backend = Backend(service)
    yield backend
    await backend.calls.stop()
