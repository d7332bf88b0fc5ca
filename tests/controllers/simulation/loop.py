"""An event loop in simulated time: when nothing is left to run, the clock jumps to the next timer.

So an hour passes as quickly as what happens in it can be computed, timers fire in their order, and one seed
is always the same run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.runtime.fakes import START, FakeClock

T = TypeVar("T")


class Deadlock(Exception):
    """Nobody can run, and nobody waits for a time."""


class _JumpingSelector:
    """In the place of the system's: instead of waiting, it lets the loop's time pass."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Deadlock
        self.now_s += timeout
        return []


class SimulatedLoop(asyncio.BaseEventLoop):
    """A loop without files and sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _JumpingSelector()
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._selector.now_s

    def _process_events(self, event_list: list[object]) -> None: ...

    def _write_to_self(self) -> None: ...


class SimulatedClock(FakeClock):
    """The running loop's time, for those who are given a clock."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a simulated loop."""
    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
