"""Fair queuing against its laws, in a simulation where time is only a number."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from podium.apiserver.flowcontrol.dealing import deal, flow_hash
from podium.apiserver.flowcontrol.fair_queue import FairQueues, Ticket, Work


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Clients that ask again as soon as they are answered, or after a pause."""

    name: str
    clients: int
    lasts_s: float
    seats: int = 1
    pause_s: float = 0.0


@dataclass(kw_only=True)
class Outcome:
    """What each flow got."""

    seat_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    answers: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    longest_wait_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    busiest: int = 0


class Simulation:
    """One level with so many seats; whoever executes lasts as long as its flow says."""

    def __init__(self, limit: int, *, queues: int = 64, hand_size: int = 6, length_max: int = 50) -> None:
        self.level = FairQueues()
        self.level.configure(queues=queues, length_max=length_max)
        self.level.limit = limit
        self._shape = (queues, hand_size)
        self._events: list[tuple[float, int, str, Flow, Ticket | None]] = []
        self._numbers = itertools.count()
        self._flow_of: dict[Ticket, Flow] = {}
        self._random = random.Random(1)
        self.outcome = Outcome()

    def run(self, flows: Sequence[Flow], seconds: float) -> Outcome:
        for flow in flows:
            for _ in range(flow.clients):
                self._at(self._random.random() * 0.001, "comes", flow)
        while self._events and self._events[0][0] < seconds:
            now, _, what, flow, ticket = heapq.heappop(self._events)
            if what == "comes":
                self._come(flow, now)
            else:
                assert ticket is not None
                self.level.finish(ticket, now)
                self.outcome.answers[flow.name] += 1
                self.outcome.seat_seconds[flow.name] += flow.seats * flow.lasts_s
                self._at(now + flow.pause_s, "comes", flow)
            self._go_on(now)
        return self.outcome

    def _at(self, when: float, what: str, flow: Flow, ticket: Ticket | None = None) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), what, flow, ticket))

    def _come(self, flow: Flow, now: float) -> None:
        ticket = Ticket(Work(seats=flow.seats), now, service_s=flow.lasts_s)
        hand = deal(flow_hash("schema", flow.name), *self._shape) if self._shape[0] else ()
        if self.level.enqueue(ticket, hand, now):
            self.outcome.refused[flow.name] += 1
            self._at(now + 0.1, "comes", flow)
            return
        self._flow_of[ticket] = flow

    def _go_on(self, now: float) -> None:
        while (ticket := self.level.take(now)) is not None:
            flow = self._flow_of.pop(ticket)
            waits = self.outcome.longest_wait_s
            waits[flow.name] = max(waits[flow.name], now - ticket.arrived_s)
            self._at(now + flow.lasts_s, "ends", flow, ticket)
        level, outcome = self.level, self.outcome
        outcome.busiest = max(outcome.busiest, level.seats_in_use)
        # Work is conserved: a seat is free only if nobody waits, or the next one needs more of them.
        if level.has_waiting and level.seats_in_use < level.limit:
            assert not level.fits(next(iter(level._next_queue().waiting)).work.seats_max)


def test_two_greedy_flows_get_the_same_however_many_clients_they_have() -> None:
    # One queue each, so that both are always in theirs.
    outcome = Simulation(10, queues=64, hand_size=1).run(
        [Flow(name="few", clients=12, lasts_s=0.1), Flow(name="many", clients=50, lasts_s=0.1)], 60
    )
    few, many = outcome.seat_seconds["few"], outcome.seat_seconds["many"]
    assert few == pytest.approx(many, rel=0.05)
    assert few + many == pytest.approx(10 * 60, rel=0.02)


@pytest.mark.parametrize(("seats", "lasts_s"), [(1, 1.0), (5, 0.1), (8, 0.4), (10, 0.1)])
def test_what_is_shared_are_seat_seconds(seats: int, lasts_s: float) -> None:
    outcome = Simulation(10, hand_size=1).run(
        [
            Flow(name="narrow", clients=40, lasts_s=0.05),
            Flow(name="wide", clients=40, lasts_s=lasts_s, seats=seats),
        ],
        120,
    )
    assert outcome.seat_seconds["wide"] == pytest.approx(outcome.seat_seconds["narrow"], rel=0.1)


def test_a_sparse_flow_waits_for_little_more_than_a_free_seat() -> None:
    outcome = Simulation(20).run(
        [
            Flow(name="flood", clients=250, lasts_s=0.2),
            Flow(name="sparse", clients=1, lasts_s=0.01, pause_s=0.5),
        ],
        60,
    )
    assert outcome.longest_wait_s["sparse"] <= 0.2 + 1e-9
    assert outcome.answers["sparse"] > 60
    assert outcome.longest_wait_s["flood"] > 1


def test_nobody_starves_beside_ever_new_flows() -> None:
    flows = [Flow(name=f"small-{n}", clients=1, lasts_s=0.02, pause_s=0.01) for n in range(19)]
    outcome = Simulation(4).run([*flows, Flow(name="wide", clients=2, lasts_s=0.5, seats=4)], 100)
    # A twentieth of four seats is one such request in ten seconds.
    assert outcome.answers["wide"] >= 8
    assert all(outcome.answers[flow.name] > 500 for flow in flows)


def test_what_is_wider_than_the_level_runs_alone() -> None:
    simulation = Simulation(4)
    outcome = simulation.run([Flow(name="huge", clients=3, lasts_s=0.1, seats=9)], 2)
    assert outcome.answers["huge"] >= 18
    assert outcome.busiest == 9


def test_a_full_queue_refuses_and_a_hand_is_all_that_a_flow_can_fill() -> None:
    simulation = Simulation(1, queues=16, hand_size=4, length_max=5)
    outcome = simulation.run(
        [Flow(name="flood", clients=100, lasts_s=1.0), Flow(name="other", clients=1, lasts_s=0.001)], 5
    )
    assert outcome.refused["flood"] > 0
    assert outcome.refused["other"] == 0
    hand = deal(flow_hash("schema", "flood"), 16, 4)
    assert {queue.index for queue in simulation.level.queues if len(queue.waiting) >= 5} == set(hand)


def test_a_request_that_keeps_the_loop_keeps_all_seats() -> None:
    level = FairQueues()
    level.configure(queues=8, length_max=50)
    level.limit = 100
    order = []
    heavy = [Ticket(Work(), 0.0, service_s=0.03, loop_s=0.03) for _ in range(3)]
    light = [Ticket(Work(), 0.0, service_s=0.0001, loop_s=0.0001) for _ in range(3)]
    for ticket in heavy:
        level.enqueue(ticket, (0,), 0.0)
    for ticket in light:
        level.enqueue(ticket, (1,), 0.0)
    while (taken := level.take(0.0)) is not None:
        order.append("heavy" if taken in heavy else "light")
        level.finish(taken, 0.0)
    assert order == ["light", "light", "light", "heavy", "heavy", "heavy"]


def test_what_was_thought_of_a_request_is_set_right_when_it_is_over() -> None:
    level = FairQueues()
    level.configure(queues=2, length_max=50)
    level.limit = 4
    ticket = Ticket(Work(seats=2), 0.0, service_s=1.0)
    assert level.enqueue(ticket, (0,), 0.0) == ""
    assert level.take(0.0) is ticket
    assert level.queues[0].virtual == 2.0
    level.finish(ticket, 5.0)
    assert level.queues[0].virtual == 10.0
    assert level.is_idle


def test_seats_linger_where_a_write_has_work_to_come() -> None:
    level = FairQueues()
    level.configure(queues=2, length_max=50)
    level.limit = 4
    ticket = Ticket(Work(final_seats=3, final_s=0.05), 0.0)
    level.begin(ticket, (0, 1), 0.0)
    assert level.finish(ticket, 0.01) == 0.05
    assert (level.executing, level.seats_in_use) == (0, 3)
    assert level.fits(1)
    assert not level.fits(2)
    level.release(ticket)
    assert level.is_idle


def test_a_withdrawn_request_is_forgotten() -> None:
    level = FairQueues()
    level.configure(queues=2, length_max=50)
    tickets = [Ticket(Work(), 0.0) for _ in range(3)]
    for ticket in tickets:
        assert level.enqueue(ticket, (1,), 0.0) == ""
    level.withdraw(tickets[1], 1.0)
    level.limit = 5
    assert [level.take(1.0), level.take(1.0), level.take(1.0)] == [tickets[0], tickets[2], None]
    assert (level.waiting, level.cancelled, level.rejected) == (0, 1, 1)


def test_a_level_without_queues_rejects_what_finds_no_seat() -> None:
    level = FairQueues()
    level.configure(queues=0, length_max=0)
    level.limit = 2
    tickets = [Ticket(Work(), 0.0) for _ in range(3)]
    assert [level.enqueue(ticket, (), 0.0) for ticket in tickets] == ["", "", "concurrency-limit"]
    assert level.has_waiting
    level.withdraw(tickets[0], 0.0)
    assert level.take(1.0) is tickets[1]
    assert tickets[1].started_s == 1.0
    level.finish(tickets[1], 2.0)
    assert level.is_idle


def test_who_waits_in_a_queue_that_goes_is_still_served() -> None:
    level = FairQueues()
    level.configure(queues=4, length_max=50)
    ticket = Ticket(Work(), 0.0)
    level.enqueue(ticket, (3,), 0.0)
    level.configure(queues=2, length_max=50)
    level.limit = 1
    assert level.take(0.0) is ticket
    assert len(level.queues) == 2


def test_no_seats_means_that_everybody_waits() -> None:
    level = FairQueues()
    level.configure(queues=2, length_max=50)
    level.enqueue(Ticket(Work(), 0.0), (0,), 0.0)
    assert level.take(0.0) is None
