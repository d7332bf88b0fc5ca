"""Figures that hold for a while: their average, deviation and highest value, weighted by time. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left

from podium.base.metrics import Histogram

_NANOSECONDS = 1e9


class Integrator:
    """Follows one value, such as the seats that a level could use."""

    __slots__ = ("_elapsed_s", "_high", "_last_s", "_squares", "_sum", "value")

    def __init__(self, now_s: float) -> None:
        self.value = 0.0
        self._last_s = now_s
        self._elapsed_s = self._sum = self._squares = self._high = 0.0

    def set(self, value: float, now_s: float) -> None:
        self._advance(now_s)
        self.value = value
        self._high = max(self._high, value)

    def _advance(self, now_s: float) -> None:
        elapsed_s = now_s - self._last_s
        self._last_s = now_s
        self._elapsed_s += elapsed_s
        self._sum += self.value * elapsed_s
        self._squares += self.value * self.value * elapsed_s

    def reset(self, now_s: float) -> tuple[float, float, float] | None:
        """Return average, deviation and highest value since the last time, and begin anew; None when no time
        has passed."""
        self._advance(now_s)
        elapsed_s = self._elapsed_s
        found = None
        if elapsed_s > 0:
            average = self._sum / elapsed_s
            deviation = math.sqrt(max(0.0, self._squares / elapsed_s - average * average))
            found = (average, deviation, self._high)
        self._elapsed_s = self._sum = self._squares = 0.0
        self._high = self.value
        return found


class Utilisation:
    """A ratio in a histogram, counted once for every nanosecond that it holds, as upstream has it."""

    __slots__ = ("_histogram", "_last_s", "_value", "denominator")

    def __init__(self, histogram: Histogram, now_s: float) -> None:
        self._histogram = histogram
        self._last_s = now_s
        self._value = 0.0
        self.denominator = 1.0

    def set(self, numerator: float, now_s: float) -> None:
        weight = int((now_s - self._last_s) * _NANOSECONDS)
        if weight > 0:
            self._last_s = now_s
            histogram = self._histogram
            histogram.counts[bisect_left(histogram.bounds, self._value)] += weight
            histogram.sum += self._value * weight
        self._value = numerator / self.denominator
