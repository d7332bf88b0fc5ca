"""Mode `batch`: events wait in a buffer, and go on in batches, a while later.

A request never waits here: what the buffer has no room for is lost and counted. Upstream:
apiserver/plugin/pkg/audit/buffered; that the bytes are bounded too, and the batches under way, is ours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.audit.backend import Backend, Losses
from podium.apiserver.audit.event import Event
from podium.apiserver.audit.pauses import pause
from podium.base.clock import Clock

PLUGIN = "buffered"
BUFFER_BYTES_MAX = 256 * 1024 * 1024
"""However many events may wait: some hold whole lists."""
SENDS_MAX = 16
"""Batches under way at a time; while a receiver is slow, further ones wait in the buffer."""
CLOSE_WITHIN_S = 10.0
"""What has not been taken by then, when the server ends, is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How much is buffered, and how it is sent."""

    buffer_size: int = 10_000
    """Events; what comes when they wait already is dropped."""
    size_max: int = 400
    """Events of one batch."""
    wait_max_s: float = 30.0
    """So long a batch may take to fill."""
    throttled: bool = True
    qps: float = 10.0
    """Batches a second, on average."""
    burst: int = 15
    concurrent: bool = True
    """A batch need not wait for the one before it."""


class Buffered:
    """In front of another backend. Its work begins with the first event."""

    def __init__(
        self, backend: Backend, batching: Batching, losses: Losses, clock: Clock, ending: asyncio.Event
    ) -> None:
        """`ending` is set when the server ends: nothing waits to become a larger batch any more."""
        self._backend = backend
        self._batching = batching
        self._losses = losses
        self._clock = clock
        self._ending = ending
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        """There is a whole batch, or no reason to wait for one."""
        self._throttle = Throttle(batching.qps, batching.burst, clock) if batching.throttled else None
        self._room = asyncio.Semaphore(SENDS_MAX if batching.concurrent else 1)
        self._sends: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    async def process(self, events: Sequence[Event]) -> bool:
        """Keep events for later; never waits."""
        for index, event in enumerate(events):
            if self._closed:
                self._losses.report(PLUGIN, "audit backend shut down", events[index:])
                break
            full = len(self._waiting) >= self._batching.buffer_size
            if full or self._bytes + len(event.encoded) > BUFFER_BYTES_MAX:
                self._losses.report(PLUGIN, "audit buffer queue blocked", events[index:])
                break
            self._waiting.append(event)
            self._bytes += len(event.encoded)
        self._arrived.set()
        if len(self._waiting) >= self._batching.size_max:
            self._enough.set()
        if self._worker is None and not self._closed:
            self._worker = asyncio.create_task(self._run(), name="audit-buffer")
        return True

    async def close(self) -> None:
        self._closed = True
        self._arrived.set()
        self._enough.set()
        if self._worker is not None:
            tasks = {self._worker}
            _, late = await asyncio.wait(tasks, timeout=CLOSE_WITHIN_S)
            for task in (*late, *self._sends):
                task.cancel()
            await asyncio.gather(*tasks, *self._sends, return_exceptions=True)
            if self._waiting:
                self._losses.report(PLUGIN, "the server has ended", list(self._waiting))
        await self._backend.close()

    async def _run(self) -> None:
        while not self._closed or self._waiting:
            await self._arrived.wait()
            if self._batching.size_max > 1 and not self._closed:
                await pause(self._clock, self._batching.wait_max_s, self._enough)
            if self._throttle is not None and not self._closed:
                await pause(self._clock, self._throttle.take_s(), self._ending)
            await self._room.acquire()
            self._send(self._take())
        while self._sends:
            await asyncio.wait(self._sends)

    def _take(self) -> list[Event]:
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(min(len(waiting), self._batching.size_max))]
        self._bytes -= sum(len(event.encoded) for event in taken)
        if not self._closed:
            if len(waiting) < self._batching.size_max:
                self._enough.clear()
            if not waiting:
                self._arrived.clear()
        return taken

    def _send(self, events: list[Event]) -> None:
        if not events:
            self._room.release()
            return
        task = asyncio.create_task(self._pass_on(events))
        self._sends.add(task)
        task.add_done_callback(self._sent)

    async def _pass_on(self, events: list[Event]) -> None:
        try:
            await self._backend.process(events)
        except asyncio.CancelledError:
            self._losses.report(PLUGIN, "the server has ended", events)
            raise

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sends.discard(task)
        self._room.release()


class Throttle:
    """A bucket of `burst` tokens that fills with `qps` a second."""

    def __init__(self, qps: float, burst: int, clock: Clock) -> None:
        self._qps = qps
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_s = clock.monotonic_s()

    def take_s(self) -> float:
        """Take a token; return how long to wait until it is there."""
        now_s = self._clock.monotonic_s()
        self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self._qps) - 1
        self._filled_s = now_s
        return max(0.0, -self._tokens / self._qps)
