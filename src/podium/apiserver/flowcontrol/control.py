"""API Priority and Fairness: who is served now, who waits, who is turned away.

    arrive -> its flow -> its width -> goes on at once | waits in a queue -> its turn -> answered -> released

Upstream: filters/priority-and-fairness.go. How a single event loop is shared out fairly: `turn.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from time import perf_counter, thread_time, time

from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.flowcontrol import estimate
from podium.apiserver.flowcontrol.configuration import LOOP_S, Configuration, Flow
from podium.apiserver.flowcontrol.dropped import Dropped
from podium.apiserver.flowcontrol.fair_queue import Work
from podium.apiserver.flowcontrol.level import Level
from podium.apiserver.flowcontrol.limiter import (
    is_long_running,
    is_mutating,
    release_when_sent,
    size_bytes,
    too_many_requests,
)
from podium.apiserver.flowcontrol.metrics import FlowControlMetrics
from podium.apiserver.flowcontrol.turn import Pump, Turn, Waiting
from podium.apiserver.registry.served import Catalog
from podium.apiserver.state_metrics import InFlight
from podium.base.clock import Clock
from podium.base.http.message import Request, Response
from podium.machinery.feature_gates import FeatureGates
from podium.resources.flowcontrol.flowschemas import FLOWSCHEMAS
from podium.resources.flowcontrol.prioritylevelconfigurations import PRIORITYLEVELCONFIGURATIONS

BORROWING_INTERVAL_S = 10.0
EVICTION_INTERVAL_S = 0.5
"""How often those are looked for who have waited too long."""
WAIT_S_MAX = 60.0
SENDING_S = 1e-9
"""What a byte takes that is sent over TLS."""
WAITED_PART = 4
"""A request may spend a quarter of its time waiting."""


class FlowControl:
    """The limiter of one server."""

    def __init__(
        self,
        catalog: Catalog,
        metrics: FlowControlMetrics,
        in_flight: InFlight,
        gates: FeatureGates,
        *,
        total_seats: int,
    ) -> None:
        schemas, levels = catalog.of(FLOWSCHEMAS), catalog.of(PRIORITYLEVELCONFIGURATIONS)
        self.configuration = Configuration(schemas, levels, metrics, total_seats, self._refresh_soon)
        self.in_flight = in_flight
        self._catalog = catalog
        self._metrics = metrics
        self._by_size = gates.enabled("SizeBasedListCostEstimate")
        self._watch_lists = gates.enabled("WatchList")
        self.pump = Pump(self._levels, _begun, _starved)
        self._dropped: dict[str, Dropped] = {}
        self._evicting = False
        self._refreshing = False

    def _refresh_soon(self) -> None:
        """The configuration changes: who waits may now have a seat."""
        if not self._refreshing:
            self._refreshing = True
            asyncio.get_running_loop().call_soon(self._refresh)

    def _refresh(self) -> None:
        self._refreshing = False
        self.configuration.refresh(perf_counter())
        self.pump.schedule()

    def _levels(self) -> Iterator[Level]:
        return iter(self.configuration.levels.values())

    async def run(self, clock: Clock) -> None:
        """Let levels lend each other seats, for ever."""
        while True:
            self.configuration.share_out(perf_counter())
            self.pump.schedule()
            await clock.sleep(BORROWING_INTERVAL_S)

    # --- arriving

    def at_once(self, user: User, info: RequestInfo, now_s: float) -> Flow | None:
        flow = self.configuration.flow(user, info, now_s)
        if not flow.exempt:
            queues = flow.level.queues
            if self.pump.is_crowded(now_s) or queues.waiting or queues.seats_in_use >= queues.limit:
                return None
        return flow

    def arrive(self, request: Request, info: RequestInfo, user: User, timeout_s: float) -> FlowSeat | None:
        if is_long_running(info) and info.verb != "watch":
            return None
        now_s = perf_counter()
        flow = self.configuration.flow(user, info, now_s)
        level, queues = flow.level, flow.level.queues
        work = self._estimate(request, info, flow)
        flow.figures.estimated_seats.noted.append(work.seats_max)
        seat = FlowSeat(self, flow, work, now_s, request, info, user)
        if flow.exempt or (not self.pump.is_crowded(now_s) and queues.has_room(work.seats_max)):
            self.pump.watch_turn(now_s)
            queues.begin(seat, flow.hand, now_s)
            level.note(now_s)
            seat.begun(now_s)
            seat.starts_now()
            return seat
        first = not queues.has_waiting
        refused = queues.enqueue(seat, flow.hand, now_s)
        level.note(now_s)
        if refused:
            flow.figures.rejected(refused).value += 1
            flow.figures.waited_in_vain.observe(0.0)
            return seat
        seat.wait(wait_s_max=min(timeout_s / WAITED_PART, WAIT_S_MAX))
        self.pump.joined(level, first=first)
        if not self._evicting:
            self._evicting = True
            asyncio.get_running_loop().call_later(EVICTION_INTERVAL_S, self._evict)
        return seat

    def _estimate(self, request: Request, info: RequestInfo, flow: Flow) -> Work:
        match info.verb:
            case "list":
                return self._of_list(request, info, flow)
            case "watch":
                return self._of_list(request, info, flow) if self._watch_lists else estimate.ONE
            case "create" | "update" | "patch" | "delete" if info.is_resource:
                return self._of_write(info, flow)
            case _:
                return estimate.ONE

    def _of_list(self, request: Request, info: RequestInfo, flow: Flow) -> Work:
        served = self._catalog.find(info.api_group, info.api_version, info.resource)
        stored = None
        if served is not None:
            root = served.root
            stored = estimate.Stored(count=len(root.entries), size_bytes=root.size_bytes)
            if flow.loop_s == LOOP_S:
                # The first of its sort: it may ask for everything. How much it does ask for is learnt.
                flow.loop_s += root.size_bytes * SENDING_S
        query = estimate.list_query(request.query) if request.raw_query else estimate.ListQuery()
        return estimate.of_list(info, query, stored, flow.level.seats_max, by_size=self._by_size)

    def _of_write(self, info: RequestInfo, flow: Flow) -> Work:
        if info.resource == "serviceaccounts" and info.subresource == "token":
            return estimate.ONE
        served = self._catalog.find(info.api_group, info.api_version, info.resource)
        watches = served.root.watching(info.namespace, info.name) if served is not None else 0
        flow.figures.watch_counts.noted.append(watches)
        return estimate.of_write(watches, flow.level.seats_max)

    # --- leaving

    def _evict(self) -> None:
        """Turn away those who have waited too long."""
        now_s = perf_counter()
        for level in self._levels():
            for seat in level.queues.all_waiting():
                if isinstance(seat, FlowSeat) and now_s > seat.deadline_s:
                    level.queues.timed_out += 1
                    seat.turn_away(now_s)
                    assert seat.turn_given is not None
                    seat.turn_given.give(verdict=False)
        self._evicting = self.pump.waiting > 0
        if self._evicting:
            asyncio.get_running_loop().call_later(EVICTION_INTERVAL_S, self._evict)

    def retry_after_s(self, level: Level) -> int:
        """Count a rejection; return how long its client should stay away."""
        dropped = self._dropped.setdefault(level.name, Dropped())
        dropped.record(int(time()))
        return dropped.retry_after_s

    def collect(self) -> None:
        """Bring the figures up to date, before somebody reads them."""
        self.configuration.collect(perf_counter())


def _begun(_level: Level, ticket: Waiting) -> None:
    assert isinstance(ticket, FlowSeat)
    ticket.wait_is_over()
    ticket.begun(perf_counter())


def _starved(level: Level) -> None:
    first = next(iter(level.queues.all_waiting()), None)
    if isinstance(first, FlowSeat):
        first.flow.figures.no_accommodation.value += 1


class FlowSeat(Waiting):
    """The seat of one request in its priority level: waiting, then executing, then over."""

    executes = False
    over = False
    deadline_s = math.inf
    """Until when it waits."""
    _busy_s = 0.0

    def __init__(
        self,
        control: FlowControl,
        flow: Flow,
        work: Work,
        arrived_s: float,
        request: Request,
        info: RequestInfo,
        user: User,
    ) -> None:
        super().__init__(work, arrived_s, service_s=flow.service_s, loop_s=flow.loop_s)
        self.control = control
        self.flow = flow
        self.request = request
        self.info = info
        self.user = user
        self.mutating = is_mutating(info)

    # --- what the handler asks

    def starts_now(self) -> None:
        """It goes on in the same breath."""
        if not self.mutating:
            self._busy_s = thread_time()

    async def turn(self) -> bool:
        if self.turn_given is None:
            return False
        verdict = await self.turn_given
        self.starts_now()
        return verdict

    def refusal(self) -> Response:
        return too_many_requests(self.control.retry_after_s(self.flow.level))

    def answered(self, response: Response) -> None:
        response.headers.extend_lower(self.flow.headers)
        if self.executes:
            if not self.mutating:
                # Most reads have had the loop since they began; sending, they will have it again.
                took_s = thread_time() - self._busy_s + size_bytes(response) * SENDING_S
                self.loop_s = self.flow.had_loop(took_s)
            release_when_sent(self, response)

    def release(self) -> None:
        now_s = perf_counter()
        if not self.executes:
            self.turn_away(now_s)
        elif not self.over:
            self._finish(now_s)

    # --- waiting

    def had_loop(self, took_s: float) -> None:
        if self.mutating:  # Of a read more is known: what sending it takes.
            super().had_loop(self.flow.had_loop(took_s))

    def wait(self, *, wait_s_max: float) -> None:
        self.deadline_s = self.arrived_s + wait_s_max
        figures = self.flow.figures
        figures.waiting.value += 1
        figures.waiting_seats.value += self.work.seats_max
        if self.queue is not None:
            figures.queue_length.observe(len(self.queue.waiting))
        self.control.in_flight.waits(self.mutating, 1)
        self.turn_given = Turn(loop=asyncio.get_running_loop())
        self.request.gone = self._abandon

    def wait_is_over(self) -> None:
        figures = self.flow.figures
        figures.waiting.value -= 1
        figures.waiting_seats.value -= self.work.seats_max
        self.control.in_flight.waits(self.mutating, -1)
        self.request.gone = None

    def turn_away(self, now_s: float) -> None:
        """Do not serve it, if it still waits."""
        if self.over or self.executes or self.turn_given is None:
            return
        self.over = True
        level, figures = self.flow.level, self.flow.figures
        level.queues.withdraw(self, now_s)
        level.note(now_s)
        self.control.pump.left()
        self.wait_is_over()
        figures.rejected("time-out").value += 1
        figures.waited_in_vain.observe(now_s - self.arrived_s)

    def _abandon(self) -> None:
        """Its client has gone."""
        self.turn_away(perf_counter())
        assert self.turn_given is not None
        self.turn_given.fail(ConnectionResetError("the peer closed the connection"))

    # --- executing

    def begun(self, now_s: float) -> None:
        self.executes = True
        figures, level, seats = self.flow.figures, self.flow.level, self.work.seats_max
        level.queues.dispatched += 1
        figures.begun += 1
        figures.seats += seats
        if not self.flow.exempt:
            figures.waited.noted.append(now_s - self.arrived_s)
        self.control.in_flight.executes(self.mutating, 1)

    def _finish(self, now_s: float) -> None:
        self.over = True
        figures, level = self.flow.figures, self.flow.level
        executions = figures.watch_execution if self.info.verb == "watch" else figures.execution
        assert self.started_s is not None
        executions.noted.append(now_s - self.started_s)
        self.flow.lasted(now_s - self.started_s)
        figures.over += 1
        self.control.in_flight.executes(self.mutating, -1)
        linger_s = level.queues.finish(self, now_s)
        if linger_s:
            asyncio.get_running_loop().call_later(linger_s, self._free_lingering)
        else:
            self._free(now_s)

    def _free_lingering(self) -> None:
        now_s = perf_counter()
        self.flow.level.queues.release(self)
        self._free(now_s)

    def _free(self, now_s: float) -> None:
        self.flow.figures.seats -= self.work.seats_max
        self.flow.level.note(now_s)
        self.control.pump.schedule()
