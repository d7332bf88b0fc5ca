"""The work queue: keys to look at, each at most once in the queue and at most once in work.

Semantics of upstream's `util/workqueue`: a key added while it waits is not added again; a key added while
it is in work waits again once `done` is called. So a worker that takes a key always sees the state as of,
or after, the last `add` of that key. The queue is bounded by the number of distinct keys. Keys that failed
come back after a delay that doubles each time, and all of them together no faster than a bucket allows.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from podium.base.backoff import Backoff
from podium.base.clock import Clock, WallClock
from podium.runtime.metrics import QueueMetrics

K = TypeVar("K", bound=Hashable)

RETRY_BACKOFF = Backoff(initial_s=0.005, max_s=1000.0)
RETRIES_PER_S = 10.0
RETRIES_BURST = 100


class ShutDown(Exception):
    """The queue has been shut down: nothing more is to be taken."""


class RetryBucket:
    """How fast keys may come back, whatever their own delays: `burst` at once, then `per_s` each second."""

    def __init__(self, clock: Clock, per_s: float = RETRIES_PER_S, burst: int = RETRIES_BURST) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._filled_s = clock.monotonic_s()

    def delay_s(self) -> float:
        """Take a token, before it is there if need be; return how long it takes to be there."""
        now_s = self._clock.monotonic_s()
        self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self._per_s) - 1
        self._filled_s = now_s
        return max(0.0, -self._tokens / self._per_s)


class WorkQueue(Generic[K]):
    """A queue of keys with deduplication, delays and per-key back-off."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        backoff: Backoff = RETRY_BACKOFF,
        name: str = "",
        metrics: QueueMetrics | None = None,
    ) -> None:
        self._clock = clock or WallClock()
        self._backoff = backoff
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._in_work: set[K] = set()
        self._due: dict[K, float] = {}
        self._timers: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._failures: dict[K, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timed_waiters = 0
        self._bucket = RetryBucket(self._clock)
        self._shut_down = False
        self._figures = metrics.of(name, self) if metrics is not None else None

    def __len__(self) -> int:
        """The number of keys that could be taken now."""
        self._promote_due()
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is in work; delayed keys do not count until they are due."""
        self._promote_due()
        return not self._ready and not self._in_work

    def add(self, key: K) -> None:
        """Ask for `key` to be looked at. No effect while it already waits, or after the shut-down."""
        if key in self._dirty or self._shut_down:
            return
        self._dirty.add(key)
        if self._figures is not None:
            self._figures.added(key)
        if key not in self._in_work:
            self._ready.append(key)
            self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` in `seconds`; of several such requests the earliest counts."""
        if self._shut_down:
            return
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic_s() + seconds
        if self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        self._sequence += 1
        heapq.heappush(self._timers, (due, self._sequence, key))
        if self._timers[0][2] == key:
            self._wake()  # the one who sleeps until the first timer has to learn of an earlier one

    def add_rate_limited(self, key: K) -> None:
        """Add `key` after a delay that doubles with each call until `forget`; at least the bucket's."""
        if self._figures is not None:
            self._figures.retried()
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        self.add_after(key, max(self._backoff.delay_s(failures), self._bucket.delay_s()))

    def failures(self, key: K) -> int:
        """Return how often `key` was added rate-limited since it was forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Start the back-off of `key` anew."""
        self._failures.pop(key, None)

    @property
    def is_shut_down(self) -> bool:
        return self._shut_down

    def shut_down(self) -> None:
        """Take no more keys in, and give out no more: whoever waits in `get`, or comes later, gets ShutDown.

        What is in work stays so until `done`. What waits is lost; whoever starts next looks at everything.
        """
        self._shut_down = True
        self._ready.clear()
        self._dirty.clear()
        self._timers.clear()
        self._due.clear()
        while self._waiters:
            self._wake()

    async def get(self) -> K:
        """Take a key, waiting for one. The taker calls `done` when it has finished with it.

        Raises ShutDown once the queue is shut down.
        """
        while True:
            if self._shut_down:
                raise ShutDown
            self._promote_due()
            if self._ready:
                key = self._ready.popleft()
                self._dirty.discard(key)
                self._in_work.add(key)
                if self._figures is not None:
                    self._figures.taken(key)
                return key
            await self._wait()

    def done(self, key: K) -> None:
        """The work on `key` has ended; if it was added meanwhile, it waits again."""
        self._in_work.discard(key)
        if self._figures is not None:
            self._figures.finished(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wake()

    def _promote_due(self) -> None:
        if not self._timers:
            return
        now = self._clock.monotonic_s()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:  # else an earlier request has replaced this one
                del self._due[key]
                self.add(key)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _wait(self) -> None:
        """Return when there may be something to take. One waiter at a time also minds the first timer."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        mind_timer = bool(self._timers) and self._timed_waiters == 0
        # The one who minds the timer is woken first, so that it learns of new, earlier timers.
        if mind_timer:
            self._waiters.appendleft(woken)
        else:
            self._waiters.append(woken)
        try:
            if mind_timer:
                await self._until_first_timer(woken)
            else:
                await woken
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():
                self._wake()  # the wake-up was meant for whoever can take the key
            raise
        finally:
            if not woken.done():
                woken.cancel()
        if self._timers and self._timed_waiters == 0 and len(self._ready) <= 1:
            self._wake()  # hand the timer over before going to work

    async def _until_first_timer(self, woken: asyncio.Future[None]) -> None:
        self._timed_waiters += 1
        delay_s = max(0.0, self._timers[0][0] - self._clock.monotonic_s())
        sleeper = asyncio.ensure_future(self._clock.sleep(delay_s))
        try:
            await asyncio.wait((woken, sleeper), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._timed_waiters -= 1
            sleeper.cancel()
