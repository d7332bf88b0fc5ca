"""Events go after an hour."""

from __future__ import annotations

import asyncio
from pathlib import Path

from podium.apiserver.registry.special.events import sweep
from podium.base.clock import rfc3339
from tests.apiserver.fakes import FakeClock
from tests.apiserver.harness import api


class StillClock(FakeClock):
    """Nobody who sleeps wakes up: what runs every few minutes stays out of the way."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


EVENTS = "/api/v1/namespaces/default/events"


def test_events_are_kept_for_an_hour_after_they_were_last_seen(tmp_path: Path) -> None:
    async def main() -> None:
        clock = StillClock()
        async with api(tmp_path, clock=clock) as server:
            involved = {"kind": "Pod", "name": "p", "namespace": "default"}
            for name in ("old", "repeated"):
                body = {"metadata": {"name": name}, "involvedObject": involved, "reason": "R"}
                await server.ok("POST", EVENTS, body)
            clock.advance(1800)
            merge = "application/merge-patch+json"
            seen = {"lastTimestamp": rfc3339(clock.now())}
            await server.ok("PATCH", f"{EVENTS}/repeated", seen, type=merge)
            clock.advance(1801)
            assert await sweep(server.server.registry) == 1
            left = await server.ok("GET", EVENTS)
            assert [item["metadata"]["name"] for item in left["items"]] == ["repeated"]

    asyncio.run(main())
