"""The limit on a component's own requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from podium.client.client import ClientResponse
from podium.client.throttled import ThrottledTransport
from tests.runtime.fakes import FakeClock, settle


class Noted:
    """A transport that notes when requests came."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.at_s: list[float] = []

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[ClientResponse]:
        self.at_s.append(round(self._clock.monotonic_s(), 3))
        yield cast(ClientResponse, None)

    async def close(self) -> None:
        """Nothing is open."""


def test_a_burst_goes_at_once_and_the_rest_at_its_rate() -> None:
    async def go() -> None:
        clock = FakeClock()
        inner = Noted(clock)
        transport = ThrottledTransport(inner, per_s=10, burst=3, clock=clock)

        async def ask() -> None:
            async with transport.request("GET", "/", headers={}):
                pass

        asked = [asyncio.ensure_future(ask()) for _ in range(6)]
        await settle()
        await clock.advance(1)
        await asyncio.gather(*asked)
        assert inner.at_s == [0, 0, 0, 0.1, 0.2, 0.3]
        await clock.advance(10)
        await asyncio.gather(ask(), ask(), ask())
        assert inner.at_s[6:] == [11, 11, 11]

    asyncio.run(go())
