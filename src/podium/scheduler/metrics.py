"""What the scheduler counts, under upstream's names and with upstream's buckets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from podium.base.metrics import Registry, exponential

_BOUNDS = exponential(0.001, 2, 15)
RESULTS = ("scheduled", "unschedulable", "error")
_ATTEMPTS_TOLD_MAX = 15


class SchedulerMetrics:
    """The figures of one scheduler; `profile` is the name that its pods ask for."""

    def __init__(self, registry: Registry, profile: str) -> None:
        labels = ("result", "profile")
        attempts = registry.counter("scheduler_schedule_attempts_total", "Attempts to place a pod.", *labels)
        durations = registry.histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "Time of one attempt, with the binding.",
            _BOUNDS,
            *labels,
        )
        self._attempts = {result: attempts.labels(result, profile) for result in RESULTS}
        self._durations = {result: durations.labels(result, profile) for result in RESULTS}
        self.algorithm = registry.histogram(
            "scheduler_scheduling_algorithm_duration_seconds", "Time of one decision.", _BOUNDS
        ).labels()
        self._tries = registry.histogram(
            "scheduler_pod_scheduling_attempts", "Attempts that a placed pod took.", exponential(1, 2, 5)
        ).labels()
        self._waits = registry.histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "Time from a pod's first appearance until it was placed.",
            exponential(0.01, 2, 20),
            "attempts",
        )
        self._pending = registry.gauge("scheduler_pending_pods", "Pods that wait, by queue.", "queue")
        self._cached = registry.gauge(
            "scheduler_cache_size", "Nodes and pods that the scheduler knows.", "type"
        )
        self._registry = registry

    def ended(self, result: str, seconds: float) -> None:
        """Record the end of an attempt."""
        self._attempts[result].value += 1
        self._durations[result].observe(seconds)

    def placed(self, attempts: int, waited_s: float) -> None:
        """Record that a pod has its node."""
        self._tries.observe(attempts)
        told = str(attempts) if attempts < _ATTEMPTS_TOLD_MAX else f"{_ATTEMPTS_TOLD_MAX}+"
        self._waits.labels(told).observe(waited_s)

    def follow(
        self, pending: Callable[[], Mapping[str, int]], cached: Callable[[], Mapping[str, int]]
    ) -> None:
        """Ask `pending` and `cached` for their figures whenever somebody collects."""

        def read() -> None:
            for queue, count in pending().items():
                self._pending.labels(queue).set(count)
            for kind, count in cached().items():
                self._cached.labels(kind).set(count)

        self._registry.before_collection(read)
