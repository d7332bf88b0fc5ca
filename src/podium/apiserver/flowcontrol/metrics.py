"""The figures of API Priority and Fairness, under upstream's names, labels and buckets."""

from __future__ import annotations

from collections.abc import Iterable

from podium.apiserver.flowcontrol.observing import Occupancy
from podium.base.metrics import Counter, Registry

_PREFIX = "apiserver_flowcontrol_"
_LEVEL = ("priority_level",)
_BOTH = ("priority_level", "flow_schema")
_DURATIONS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_UTILISED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_RATIOS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0)
_DEMANDS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.8, 4.0, 6.0)
_NANOSECONDS = 1e9


class FlowControlMetrics:
    """All families; one for each API server."""

    def __init__(self, registry: Registry) -> None:
        self.dispatched = registry.counter(
            _PREFIX + "dispatched_requests_total", "Requests that were executed.", *_BOTH
        )
        self.rejected = registry.counter(
            _PREFIX + "rejected_requests_total", "Requests that were rejected.", *_BOTH, "reason"
        )
        self.no_accommodation = registry.counter(
            _PREFIX + "request_dispatch_no_accommodation_total",
            "How often the next request found too few seats.",
            *_BOTH,
        )
        self.waiting = registry.gauge(
            _PREFIX + "current_inqueue_requests", "Requests that wait in queues.", *_BOTH
        )
        self.waiting_seats = registry.gauge(
            _PREFIX + "current_inqueue_seats", "Seats that waiting requests will need.", *_BOTH
        )
        self.executing = registry.gauge(
            _PREFIX + "current_executing_requests",
            "Requests that execute; of watches, those that send their initial state.",
            *_BOTH,
        )
        self.executing_seats = registry.gauge(
            _PREFIX + "current_executing_seats", "Seats that executing requests hold.", *_BOTH
        )
        self.in_use = registry.gauge(
            _PREFIX + "request_concurrency_in_use",
            "As current_executing_seats; deprecated upstream.",
            *_BOTH,
        )
        self.wait = registry.histogram(
            _PREFIX + "request_wait_duration_seconds",
            "Time that requests waited in queues.",
            _DURATIONS,
            *_BOTH,
            "execute",
        )
        self.execution = registry.histogram(
            _PREFIX + "request_execution_seconds",
            "Time that requests executed; of watches, until they had sent their initial state.",
            _DURATIONS,
            *_BOTH,
            "type",
        )
        self.queue_length = registry.histogram(
            _PREFIX + "request_queue_length_after_enqueue",
            "Length of a queue as a request finds it, itself included.",
            (0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0),
            *_BOTH,
        )
        self.estimated_seats = registry.histogram(
            _PREFIX + "work_estimated_seats",
            "Seats that requests were thought to need.",
            (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0),
            *_BOTH,
        )
        self.watch_counts = registry.histogram(
            _PREFIX + "watch_count_samples",
            "Watches that will hear of a write.",
            (0.0, 1.0, 10.0, 100.0, 1000.0, 10000.0),
            *_BOTH,
        )
        self.nominal = registry.gauge(_PREFIX + "nominal_limit_seats", "Seats by shares.", *_LEVEL)
        self.nominal_formerly = registry.gauge(
            _PREFIX + "request_concurrency_limit", "As nominal_limit_seats; deprecated upstream.", *_LEVEL
        )
        self.lower = registry.gauge(_PREFIX + "lower_limit_seats", "Seats that are never lent.", *_LEVEL)
        self.upper = registry.gauge(
            _PREFIX + "upper_limit_seats", "Seats with all that may be borrowed.", *_LEVEL
        )
        self.current = registry.gauge(
            _PREFIX + "current_limit_seats", "Seats as lent and borrowed now.", *_LEVEL
        )
        self.demand_high = registry.gauge(
            _PREFIX + "demand_seats_high_watermark",
            "Most seats that were wanted in the last period.",
            *_LEVEL,
        )
        self.demand_average = registry.gauge(
            _PREFIX + "demand_seats_average", "Seats that were wanted in the last period.", *_LEVEL
        )
        self.demand_deviation = registry.gauge(
            _PREFIX + "demand_seats_stdev", "Standard deviation of demand_seats_average.", *_LEVEL
        )
        self.demand_smoothed = registry.gauge(
            _PREFIX + "demand_seats_smoothed", "Seats that were wanted, smoothed over time.", *_LEVEL
        )
        self.target = registry.gauge(
            _PREFIX + "target_seats", "Seats that a level should have, as far as there are.", *_LEVEL
        )
        self.fair_fraction = registry.gauge(
            _PREFIX + "seat_fair_frac", "The part of its target that each level gets within its limits."
        )
        self.demand = registry.histogram(
            _PREFIX + "demand_seats",
            "Seats wanted, as a ratio of those there are; counted each nanosecond.",
            _DEMANDS,
            *_LEVEL,
        )
        self.seat_utilisation = registry.histogram(
            _PREFIX + "priority_level_seat_utilization",
            "Seats in use, as a ratio of those there are; counted each nanosecond.",
            _UTILISED,
            *_LEVEL,
            "phase",
        )
        self.request_utilisation = registry.histogram(
            _PREFIX + "priority_level_request_utilization",
            "Requests waiting or executing, as a ratio of how many may; counted each nanosecond.",
            _RATIOS,
            "phase",
            *_LEVEL,
        )
        self.current_r = registry.gauge(_PREFIX + "current_r", "Virtual time, in seat-seconds.", *_LEVEL)


class LevelFigures:
    """The ratios of one level, counted once for every nanosecond that they hold, as upstream has it."""

    def __init__(self, metrics: FlowControlMetrics, name: str) -> None:
        requests, seats = metrics.request_utilisation, metrics.seat_utilisation
        self._demand = metrics.demand.labels(name)
        self._seats = seats.labels(name, "executing")
        self._waiting = requests.labels("waiting", name)
        self._executing = requests.labels("executing", name)
        self._seats_max = self._waiting_max = 1

    def limit(self, seats: int, waiting_max: int) -> None:
        """Say how many there may be from now on: seats, and requests in queues."""
        self._seats_max, self._waiting_max = seats, max(1, waiting_max)

    def held(self, states: Iterable[tuple[Occupancy, float]]) -> None:
        """Count states, each for the seconds that it was held."""
        for state, seconds in states:
            times = int(seconds * _NANOSECONDS)
            self._demand.observe(state.demand / self._seats_max, times=times)
            self._seats.observe(state.seats_in_use / self._seats_max, times=times)
            self._waiting.observe(state.waiting / self._waiting_max, times=times)
            self._executing.observe(state.executing / self._seats_max, times=times)


class SchemaFigures:
    """What is counted of the requests of one flow schema in one level."""

    def __init__(self, metrics: FlowControlMetrics, level: str, schema: str) -> None:
        both = (level, schema)
        self._rejected = metrics.rejected
        self._both = both
        self._dispatched = metrics.dispatched.labels(*both)
        self.waiting = metrics.waiting.labels(*both)
        self.waiting_seats = metrics.waiting_seats.labels(*both)
        self._executing = metrics.executing.labels(*both)
        self._executing_seats = metrics.executing_seats.labels(*both)
        self._in_use = metrics.in_use.labels(*both)
        self.waited = metrics.wait.labels(*both, "true")
        self.waited_in_vain = metrics.wait.labels(*both, "false")
        self.execution = metrics.execution.labels(*both, "regular")
        self.watch_execution = metrics.execution.labels(*both, "watch")
        self.queue_length = metrics.queue_length.labels(*both)
        self.estimated_seats = metrics.estimated_seats.labels(*both)
        self.watch_counts = metrics.watch_counts.labels(*both)
        self.no_accommodation = metrics.no_accommodation.labels(*both)
        self.begun = self.over = self.seats = 0
        """Requests that have begun to execute and those that are over, and the seats in use."""
        self.at_once = 0
        """Reads that waited for nothing and held one seat for a moment; not yet in the figures above."""

    def rejected(self, reason: str) -> Counter:
        return self._rejected.labels(*self._both, reason)

    def fold(self, *, limited: bool) -> None:
        """Bring the figures up to date: with what is kept in plain numbers, and the reads of `at_once`."""
        count, self.at_once = self.at_once, 0
        self.begun += count
        self.over += count
        self._dispatched.value = self.begun
        self._executing.value = self.begun - self.over
        self._executing_seats.value = self._in_use.value = self.seats
        # One seat each, and no time in queues, which exempt requests never see.
        self.estimated_seats.observe(1, times=count)
        if limited:
            self.waited.observe(0, times=count)
