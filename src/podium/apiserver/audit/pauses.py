"""Waiting for the clock, but not longer than until something happens."""

from __future__ import annotations

import asyncio

from podium.base.clock import Clock


async def pause(clock: Clock, seconds: float, until: asyncio.Event) -> None:
    """Return after `seconds`, or at once when `until` is set."""
    if until.is_set():
        return
    happened = asyncio.ensure_future(until.wait())
    passed = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((happened, passed), return_when=asyncio.FIRST_COMPLETED)
    finally:
        happened.cancel()
        passed.cancel()
        await asyncio.gather(happened, passed, return_exceptions=True)
