"""A limit on a component's own requests, as `--kube-api-qps` and `--kube-api-burst` ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from podium.base.clock import Clock, WallClock
from podium.base.metrics import Registry
from podium.client.client import Client, ClientResponse, Transport

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)


class ThrottleMetrics:
    """The family; for a program whose requests are limited."""

    def __init__(self, registry: Registry) -> None:
        self.waited = registry.histogram(
            "rest_client_rate_limiter_duration_seconds",
            "How long requests waited for their turn.",
            _SECONDS,
            *("verb", "host"),
        )


class ThrottledTransport:
    """A transport through which `per_s` requests pass each second, and `burst` of them at once."""

    def __init__(
        self,
        inner: Transport,
        *,
        per_s: float,
        burst: int,
        host: str = "",
        clock: Clock | None = None,
        metrics: Registry | None = None,
    ) -> None:
        self._inner = inner
        self._per_s = per_s
        self._burst = max(1, burst)
        self._clock = clock or WallClock()
        self._tokens = float(self._burst)
        self._filled_s = self._clock.monotonic_s()
        self._waited = ThrottleMetrics(metrics or Registry()).waited
        self._host = host

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[ClientResponse]:
        wait_s = self._delay_s()
        self._waited.labels(method, self._host).observe(wait_s)
        if wait_s:
            await self._clock.sleep(wait_s)
        async with self._inner.request(method, target, headers=headers, body=body) as response:
            yield response

    def _delay_s(self) -> float:
        """Take the next turn; return how long until then."""
        now_s = self._clock.monotonic_s()
        self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self._per_s) - 1
        self._filled_s = now_s
        return max(0.0, -self._tokens / self._per_s)

    async def close(self) -> None:
        await self._inner.close()


def throttled(
    client: Client, *, per_s: float, burst: int, host: str = "", metrics: Registry | None = None
) -> Client:
    """Return a client that keeps to the limit; the same one where there is none."""
    if per_s <= 0:
        return client
    transport = ThrottledTransport(client.transport, per_s=per_s, burst=burst, host=host, metrics=metrics)
    return Client(transport, user_agent=client.user_agent)
