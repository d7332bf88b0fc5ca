"""How long a priority level was in which state, and what that says of its demand. Pure.

Upstream keeps an integrator and several histograms, each told of every change. Here a change notes only how
long the state before it lasted; the figures are worked out when somebody reads them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Occupancy(NamedTuple):
    """What is in one level's queues and seats at one moment."""

    seats_in_use: int = 0
    seats_waiting: int = 0
    waiting: int = 0
    """Requests."""
    executing: int = 0

    @property
    def demand(self) -> int:
        """Return how many seats could be in use."""
        return self.seats_in_use + self.seats_waiting


class Observed(NamedTuple):
    """The demand of a while, in seats."""

    average: float
    deviation: float
    high: int


class Chronicle:
    """What one level was since somebody last asked."""

    __slots__ = ("_held_s", "_last_s", "_state")

    def __init__(self, now_s: float) -> None:
        self._state: tuple[int, int, int, int] = Occupancy()
        self._last_s = now_s
        self._held_s: dict[tuple[int, int, int, int], float] = {}

    def note(self, state: tuple[int, int, int, int], now_s: float) -> None:
        """Say what the level is from now on: the values of an `Occupancy`, which costs more to make."""
        held_s, last = self._held_s, self._state
        held_s[last] = held_s.get(last, 0.0) + now_s - self._last_s
        self._state, self._last_s = state, now_s

    def take(self, now_s: float) -> list[tuple[Occupancy, float]]:
        """Return the states since the last time and how many seconds each was held, and begin anew."""
        self.note(self._state, now_s)
        taken = [(Occupancy(*state), seconds) for state, seconds in self._held_s.items()]
        self._held_s.clear()
        return taken


class Integrator:
    """Sums up demand over a while of any number of chronicles."""

    def __init__(self) -> None:
        self._elapsed_s = self._sum = self._squares = 0.0
        self._high = 0

    def add(self, states: Iterable[tuple[Occupancy, float]]) -> None:
        for state, seconds in states:
            demand = state.demand
            self._elapsed_s += seconds
            self._sum += demand * seconds
            self._squares += demand * demand * seconds
            self._high = max(self._high, demand)

    def reset(self) -> Observed | None:
        """Return what was observed since the last time, and begin anew; None when no time has passed."""
        elapsed_s, observed = self._elapsed_s, None
        if elapsed_s > 0:
            average = self._sum / elapsed_s
            deviation = math.sqrt(max(0.0, self._squares / elapsed_s - average * average))
            observed = Observed(average, deviation, self._high)
        self._elapsed_s = self._sum = self._squares = 0.0
        self._high = 0
        return observed
