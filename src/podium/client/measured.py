"""What a component's requests to the API server came to: upstream's `rest_client_*` figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from urllib.parse import urlsplit

from podium.base.metrics import Registry
from podium.client.client import ClientResponse, Transport

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_BYTES = tuple(float(2**power) for power in (6, 8, 9, 10, 12, 14, 16, 18, 20, 22, 24))
FAILED = "<error>"
"""The code of a request that no answer came to."""


class ClientMetrics:
    """The families; one for each program."""

    def __init__(self, registry: Registry) -> None:
        self.requests = registry.counter(
            "rest_client_requests_total", "Requests to the API server.", "code", "method", "host"
        )
        self.durations = registry.histogram(
            "rest_client_request_duration_seconds",
            "Time until the head of the answer was there.",
            _SECONDS,
            *("verb", "host"),
        )
        self.sizes = registry.histogram(
            "rest_client_request_size_bytes", "Bytes of the requests' bodies.", _BYTES, "verb", "host"
        )


class MeasuredTransport:
    """A transport that counts what passes through it."""

    def __init__(self, inner: Transport, metrics: ClientMetrics, url: str) -> None:
        self._inner = inner
        self._metrics = metrics
        self._host = urlsplit(url).netloc

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[ClientResponse]:
        metrics, host, started = self._metrics, self._host, perf_counter()
        metrics.sizes.labels(method, host).observe(len(body))
        answered = False
        try:
            async with self._inner.request(method, target, headers=headers, body=body) as response:
                answered = True
                metrics.durations.labels(method, host).observe(perf_counter() - started)
                metrics.requests.labels(str(response.status), method, host).inc()
                yield response
        except ConnectionError:
            if not answered:
                metrics.requests.labels(FAILED, method, host).inc()
            raise

    async def close(self) -> None:
        await self._inner.close()
