"""What is counted of requests to the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from podium.base.http.message import Headers
from podium.base.metrics import Registry
from podium.client.client import ClientResponse
from podium.client.measured import ClientMetrics, MeasuredTransport


class Answer:
    status = 201
    headers = Headers()

    async def read(self) -> bytes:
        return b"{}"

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"{}"


class Inner:
    """Answers, or does not."""

    def __init__(self) -> None:
        self.reachable = True
        self.closed = False

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[ClientResponse]:
        if not self.reachable:
            raise ConnectionError("refused")
        yield Answer()

    async def close(self) -> None:
        self.closed = True


def test_requests_are_counted_by_code_method_and_host() -> None:
    async def scenario() -> None:
        registry, inner = Registry(), Inner()
        transport = MeasuredTransport(inner, ClientMetrics(registry), "https://10.0.0.1:6443/prefix")
        async with transport.request("POST", "/api", headers={}, body=b"12345") as answer:
            assert await answer.read() == b"{}"
        with pytest.raises(ConnectionError, match="cut"):
            async with transport.request("GET", "/api", headers={}):
                raise ConnectionError("cut")
        inner.reachable = False
        with pytest.raises(ConnectionError, match="refused"):
            async with transport.request("GET", "/api", headers={}):
                pass
        await transport.close()
        assert inner.closed
        lines = registry.text().decode().splitlines()
        host = "10.0.0.1:6443"
        for expected in (
            f'rest_client_requests_total{{code="201",method="POST",host="{host}"}} 1',
            f'rest_client_requests_total{{code="201",method="GET",host="{host}"}} 1',
            f'rest_client_requests_total{{code="<error>",method="GET",host="{host}"}} 1',
            f'rest_client_request_duration_seconds_count{{verb="GET",host="{host}"}} 1',
            f'rest_client_request_size_bytes_sum{{verb="POST",host="{host}"}} 5',
        ):
            assert expected in lines

    asyncio.run(scenario())
