"""What controllers count: upstream's `workqueue_*` figures for each queue, and sets of a controller's own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol, TypeVar
from weakref import WeakSet

from podium.base.metrics import Registry, exponential

_BOUNDS = exponential(1e-8, 10, 10)


class RunningMetrics:
    """Which controllers run: upstream's `running_managed_controllers`."""

    def __init__(self, registry: Registry, manager: str) -> None:
        self._manager = manager
        self.running = registry.gauge(
            "running_managed_controllers", "Whether a controller runs.", "name", "manager"
        )

    @contextmanager
    def noting(self, controller: str) -> Iterator[None]:
        """The controller runs as long as the block."""
        gauge = self.running.labels(controller, self._manager)
        gauge.set(1)
        try:
            yield
        finally:
            gauge.set(0)


class Queue(Protocol):
    """What is asked of a queue when figures are collected."""

    def __len__(self) -> int: ...


class QueueMetrics:
    """The families; `of` gives one queue its figures."""

    def __init__(self, registry: Registry) -> None:
        self.depth = registry.gauge("workqueue_depth", "Keys that wait.", "name")
        self.adds = registry.counter("workqueue_adds_total", "Keys added.", "name")
        self.waiting = registry.histogram(
            "workqueue_queue_duration_seconds", "How long a key waited.", _BOUNDS, "name"
        )
        self.working = registry.histogram(
            "workqueue_work_duration_seconds", "How long the work on a key took.", _BOUNDS, "name"
        )
        self.unfinished = registry.gauge(
            "workqueue_unfinished_work_seconds", "Seconds spent so far on keys in work.", "name"
        )
        self.longest = registry.gauge(
            "workqueue_longest_running_processor_seconds", "The same of the key longest in work.", "name"
        )
        self.retries = registry.counter("workqueue_retries_total", "Keys put back with a delay.", "name")
        self._queues: WeakSet[QueueFigures] = WeakSet()
        registry.before_collection(self._read)

    def of(self, name: str, queue: Queue) -> QueueFigures:
        """Return what `queue` counts with, under `name`."""
        figures = QueueFigures(self, name, queue)
        self._queues.add(figures)
        return figures

    def _read(self) -> None:
        for figures in self._queues:
            figures.read()


class QueueFigures:
    """The figures of one queue. Times are measured by the machine's clock, whatever clock the queue has."""

    def __init__(self, families: QueueMetrics, name: str, queue: Queue) -> None:
        self._queue = queue
        self._depth = families.depth.labels(name)
        self._adds = families.adds.labels(name)
        self._waiting = families.waiting.labels(name)
        self._working = families.working.labels(name)
        self._unfinished = families.unfinished.labels(name)
        self._longest = families.longest.labels(name)
        self._retries = families.retries.labels(name)
        self._added_s: dict[Hashable, float] = {}
        self._taken_s: dict[Hashable, float] = {}

    def added(self, key: Hashable) -> None:
        self._adds.value += 1
        self._added_s.setdefault(key, perf_counter())

    def taken(self, key: Hashable) -> None:
        now = perf_counter()
        self._waiting.observe(now - self._added_s.pop(key, now))
        self._taken_s[key] = now

    def finished(self, key: Hashable) -> None:
        taken_s = self._taken_s.pop(key, None)
        if taken_s is not None:
            self._working.observe(perf_counter() - taken_s)

    def retried(self) -> None:
        self._retries.value += 1

    def read(self) -> None:
        now = perf_counter()
        spent = [now - taken_s for taken_s in self._taken_s.values()]
        self._depth.set(len(self._queue))
        self._unfinished.set(sum(spent))
        self._longest.set(max(spent, default=0))


T = TypeVar("T")


class MetricSets:
    """Sets of figures of single controllers, each made when its controller first asks for it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._sets: dict[object, object] = {}

    def of(self, kind: Callable[[Registry], T]) -> T:
        """Return the one set of this kind."""
        made = self._sets.get(kind)
        if made is None:
            made = self._sets[kind] = kind(self._registry)
        return made  # type: ignore[return-value]
