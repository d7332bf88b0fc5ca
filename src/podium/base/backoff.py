"""Exponential back-off as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays that grow from `initial_s` by `factor` up to `max_s`."""

    initial_s: float
    max_s: float
    factor: float = 2.0

    def delay_s(self, failures: int) -> float:
        """Return the wait after the `failures`-th failure in a row (1 is the first)."""
        if failures < 1:
            return 0.0
        # Past this exponent the float would overflow long after the maximum is reached.
        exponent = min(failures - 1, 64)
        return float(min(self.max_s, self.initial_s * self.factor**exponent))
