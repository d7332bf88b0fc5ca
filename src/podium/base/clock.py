"""Time as a dependency: components never call `time` or `datetime.now`, they are given a `Clock`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
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
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # Every object is stamped twice; isoformat takes twice as long as this, strftime ten times.
    two = _TWO_DIGITS
    return (
        f"{moment.year:04}-{two[moment.month]}-{two[moment.day]}"
        f"T{two[moment.hour]}:{two[moment.minute]}:{two[moment.second]}Z"
    )


_TWO_DIGITS = [f"{number:02}" for number in range(60)]


def rfc3339_micro(moment: datetime) -> str:
    """Return `moment` as the wire's metav1.MicroTime: microseconds, UTC, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """Return the moment that `text` names. Raises ValueError when it is no RFC 3339 time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    return moment
