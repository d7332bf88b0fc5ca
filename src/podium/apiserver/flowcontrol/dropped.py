"""How long rejected clients are asked to stay away: longer while many are rejected. Pure.

Upstream: dropped_requests_tracker.go, after TCP: doubled under overload, taken back second by second.
"""

from __future__ import annotations

RETRY_AFTER_S_MAX = 32


class Dropped:
    """The rejections of one priority level."""

    def __init__(self) -> None:
        self.retry_after_s = 1
        self._history: list[tuple[int, int]] = []
        """(second, rejections in it), of the seconds that are over."""
        self._second = 0
        self._count = 0
        self._raised = 0

    def record(self, now_s: int) -> None:
        """One was rejected in this second."""
        if now_s == self._second:
            self._count += 1
            return
        kept_s = min(2 * self.retry_after_s, RETRY_AFTER_S_MAX)
        self._history.append((self._second, self._count))
        self._history = [entry for entry in self._history if now_s - entry[0] <= kept_s]
        self._second, self._count = now_s, 1
        self._adapt(now_s)

    def _adapt(self, now_s: int) -> None:
        wait_s = self.retry_after_s
        lately = sum(count for second, count in self._history if now_s - second <= wait_s)
        if now_s - self._raised >= wait_s and lately >= 3 * wait_s:
            self.retry_after_s = min(2 * wait_s, RETRY_AFTER_S_MAX)
            self._raised = now_s
        elif lately < wait_s and wait_s > 1:
            self.retry_after_s -= 1
