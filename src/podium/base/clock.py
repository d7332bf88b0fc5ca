"""Time as a dependency: components never call `time` or `datetime.now`, they are given a `Clock`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Where a component takes its time from: the wall in production, a test's hand in tests."""

    def now(self) -> datetime:
        """Return the current time, with zone UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` on this clock."""
        ...


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def rfc3339(moment: datetime) -> str:
    """Return `moment` as the wire's metav1.Time: seconds, UTC, `Z`."""
    return _second_as_text(moment.replace(microsecond=0))


@lru_cache(maxsize=16)
def _second_as_text(second: datetime) -> str:
    # Every object is stamped twice, and thousands in one second.
    return second.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def rfc3339_micro(moment: datetime) -> str:
    """Return `moment` as the wire's metav1.MicroTime: microseconds, UTC, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """Return the moment that `text` names. Raises ValueError when it is no RFC 3339 time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    return moment
