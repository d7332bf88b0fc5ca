"""Waiting for one's turn on the event loop, and the loop's time shared out among those who wait.

The server is one event loop, and a request that finds what it needs in memory runs to its end in one go.
Under a flood, what requests really wait for is the loop: everything that was readable in this turn of it. So
a turn that has lasted `CROWDED_S` is crowded: what else arrives in it waits in the queues of its level, and
so does all that comes later, until nobody waits any more. The `Pump` runs once a turn and lets requests go
for `SLICE_S`, each time from the level that was given least for what it has. While nobody waits, a request
pays for a look at the clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from time import perf_counter, thread_time
from typing import Any

from podium.apiserver.flowcontrol.fair_queue import Ticket
from podium.apiserver.flowcontrol.level import Level

CROWDED_S = 0.005
SLICE_S = 0.002
GLANCES = 8
"""So many light requests are let go before the loop is asked to say when its turn is over: that costs more
than the look at the clock."""


class Turn(asyncio.Future[bool]):
    """What a waiting request awaits: True when it may go on, False when it has waited too long.

    Given from a callback of the loop, it carries on with the waiting task right there, so that whoever gives
    it can tell how long that took.
    """

    _waiter: Callable[[Any], object] | None = None
    _context: Context | None = None

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        if self.done():
            super().add_done_callback(fn, context=context)
        else:
            self._waiter, self._context = fn, context

    def give(self, *, verdict: bool) -> bool:
        """Let the request go on; return whether it has, up to its next wait, when this returns. Otherwise it
        does so in a moment. Not to be called inside a task."""
        if self.done():
            return False
        self.set_result(verdict)
        return self._carry_on()

    def _carry_on(self) -> bool:
        if self._waiter is None:
            return False
        if self._context is not None:
            self._context.run(self._waiter, self)
        else:
            self._waiter(self)
        return True

    def fail(self, error: Exception) -> None:
        """Have the wait end with an error, in a moment."""
        if not self.done():
            self.set_exception(error)
            if self._waiter is not None:
                self.get_loop().call_soon(self._waiter, self, context=self._context)

    def cancel(self, msg: Any | None = None) -> bool:
        """The task that waits is cancelled."""
        cancelled = super().cancel(msg)
        if cancelled and self._waiter is not None:
            self.get_loop().call_soon(self._waiter, self, context=self._context)
        return cancelled


class Waiting(Ticket):
    """A ticket whose request waits for a turn of the loop."""

    turn_given: Turn | None = None

    def had_loop(self, took_s: float) -> None:
        """It went on, and now either waits for something else or is over."""
        self.loop_s = took_s


class Pump:
    """Shares the loop's time out among the levels in which somebody waits."""

    def __init__(
        self,
        levels: Callable[[], Iterable[Level]],
        begun: Callable[[Level, Waiting], None],
        starved: Callable[[Level], None],
    ) -> None:
        """`begun` is told of each request before it goes on, `starved` of each level whose next one found too
        few seats."""
        self._levels = levels
        self._begun = begun
        self._starved = starved
        self._glances = 0
        self._turn_since_s = 0.0
        """When a turn that is not over was last looked at first; 0: no such turn."""
        self._scheduled = False
        self.waiting = 0
        """Requests in all levels."""
        self._served = 0.0
        """What the level that was served last had had: a level that had nobody waiting starts from here."""

    # --- is there room

    def is_crowded(self, now_s: float) -> bool:
        """Whether a request that has just arrived must wait for its turn."""
        if self._scheduled:
            return True
        if self._turn_since_s:
            return now_s - self._turn_since_s > CROWDED_S
        self._glances += 1
        if self._glances >= GLANCES:
            self.watch_turn(now_s)
        return False

    def watch_turn(self, now_s: float) -> None:
        """Have the loop say when this turn of it is over: something heavy begins."""
        if not self._turn_since_s:
            self._turn_since_s = now_s
            asyncio.get_running_loop().call_soon(self._turn_is_over)

    def _turn_is_over(self) -> None:
        self._turn_since_s = 0.0
        self._glances = 0

    # --- taking turns

    def joined(self, level: Level, *, first: bool) -> None:
        """Somebody waits in `level` now, `first` where nobody did."""
        self.waiting += 1
        if first:
            level.served = max(level.served, self._served)
        self.schedule()

    def left(self) -> None:
        """Somebody has given up waiting."""
        self.waiting -= 1

    def schedule(self) -> None:
        """Look in the next turn who can go on."""
        if not self._scheduled and self.waiting:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        left_s = SLICE_S
        found = None
        while left_s > 0 and self.waiting:
            found = self._next(perf_counter())
            if found is None:
                break  # Seats are what is missing; whoever frees some schedules this again.
            left_s -= self._let_go(*found)
        self._scheduled = False
        if found is not None:
            self.schedule()

    def _next(self, now_s: float) -> tuple[Level, Waiting] | None:
        ready = [level for level in self._levels() if level.queues.has_waiting]
        for level in sorted(ready, key=lambda one: one.served):
            ticket = level.queues.take(now_s)
            if ticket is not None:
                assert isinstance(ticket, Waiting)
                return level, ticket
            self._starved(level)
        return None

    def _let_go(self, level: Level, ticket: Waiting) -> float:
        """Let one request go on; return how much of the slice that takes."""
        self.waiting -= 1
        self._served = level.served
        self._begun(level, ticket)
        assert ticket.turn_given is not None
        started_s, busy_s = perf_counter(), thread_time()
        if not ticket.turn_given.give(verdict=True):
            # It has come just now, and its task has not begun to wait: it goes on when this is over.
            level.served += ticket.loop_s / level.weight
            return SLICE_S
        took_s = perf_counter() - started_s
        ticket.had_loop(thread_time() - busy_s)
        level.served += took_s / level.weight
        return took_s
