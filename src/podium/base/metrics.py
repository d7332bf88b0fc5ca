"""Figures that a process tells Prometheus: counters, gauges, histograms, and their text form.

A registry belongs to one process and is handed to whoever counts. Families are declared once, with all
their labels; a *child* is one combination of label values. Hot paths keep their children: an increment is
an addition.
Not thread-safe, as nothing here counts from another thread.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CHILDREN_MAX = 20_000
"""Of one family. What comes from clients must not fill the memory: further combinations share one child."""


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Return the upper bounds of `count` buckets, each `factor` times the one before."""
    return tuple(float(f"{start * factor**i:.12g}") for i in range(count))


class Counter:
    """A number that only grows; `value` may be added to directly."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, by: float = 1) -> None:
        self.value += by

    def lines(self, name: str, labels: str) -> Iterator[str]:
        yield f"{name}{_braces(labels)} {_number(self.value)}"


class Gauge(Counter):
    """A number that comes and goes."""

    __slots__ = ()

    def dec(self, by: float = 1) -> None:
        self.value -= by

    def set(self, value: float) -> None:
        self.value = value


class Histogram:
    """How often values fell into which bucket, and their sum.

    Where every request observes a dozen values, they are appended to `noted`, and counted many at a time by
    `fold`: an append costs a tenth of `observe`. Whoever appends sees to it that somebody folds now and then.
    """

    __slots__ = ("_counts", "_sum", "bounds", "noted")

    def __init__(self, bounds: Sequence[float] = ()) -> None:
        self.bounds = bounds
        self.noted: list[float] = []
        """Values that are not counted yet. The list stays the same, so its `append` may be kept."""
        self._counts = [0] * (len(bounds) + 1)
        self._sum: float = 0

    def observe(self, value: float, *, times: int = 1) -> None:
        self._counts[bisect_left(self.bounds, value)] += times
        self._sum += value * times

    def fold(self) -> None:
        """Count what has been noted."""
        if not self.noted:
            return
        values = sorted(self.noted)
        self.noted.clear()
        self._sum += sum(values)
        below = 0
        for index, bound in enumerate(self.bounds):
            reached = bisect_right(values, bound, below)
            self._counts[index] += reached - below
            below = reached
        self._counts[-1] += len(values) - below

    @property
    def count(self) -> int:
        return sum(self._counts) + len(self.noted)

    @property
    def sum(self) -> float:
        return self._sum + sum(self.noted)

    def lines(self, name: str, labels: str) -> Iterator[str]:
        self.fold()
        comma = "," if labels else ""
        total = 0
        for bound, count in zip((*map(_number, self.bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {total}'
        yield f"{name}_sum{_braces(labels)} {_number(self._sum)}"
        yield f"{name}_count{_braces(labels)} {total}"


Child = TypeVar("Child", Counter, Gauge, Histogram)


class Family(Generic[Child]):
    """All children of one name."""

    def __init__(
        self, name: str, kind: str, text: str, labels: Sequence[str], make: Callable[[], Child]
    ) -> None:
        self.name = name
        self.kind = kind
        """counter, gauge or histogram."""
        self.text = text
        self.label_names = tuple(labels)
        self._make: Callable[[], Child] = make
        self._children: dict[tuple[str, ...], Child] = {}
        self._overflow: Child | None = None

    def labels(self, *values: str) -> Child:
        """Return the child with these values, in the order of the label names."""
        child = self._children.get(values)
        if child is None:
            assert len(values) == len(self.label_names), (self.name, values)
            if len(self._children) >= CHILDREN_MAX:
                self._overflow = self._overflow or self._make()
                return self._overflow
            child = self._children[values] = self._make()
        return child

    def clear(self) -> None:
        """Forget all children: those of a gauge that is read anew each time."""
        self._children.clear()

    def remove(self, which: Callable[[tuple[str, ...]], bool]) -> None:
        """Forget the children whose label values are among those meant."""
        self._children = {values: child for values, child in self._children.items() if not which(values)}

    def children(self) -> Iterable[tuple[tuple[str, ...], Child]]:
        return self._children.items()

    def fold(self) -> None:
        """Count what histograms have noted."""
        for child in (*self._children.values(), self._overflow):
            if isinstance(child, Histogram):
                child.fold()

    def lines(self) -> Iterator[str]:
        if not self._children:
            return
        yield f"# HELP {self.name} {_escaped_help(self.text)}"
        yield f"# TYPE {self.name} {self.kind}"
        for values, child in sorted(self._children.items()):
            pairs = zip(self.label_names, values, strict=True)
            yield from child.lines(self.name, ",".join(f'{k}="{_escaped(v)}"' for k, v in pairs))


class Registry:
    """The families of one process. Those that are `disabled` are counted, but not shown."""

    def __init__(self, *, disabled: Collection[str] = ()) -> None:
        self._disabled = frozenset(disabled)
        self.families: dict[str, Family[Counter] | Family[Gauge] | Family[Histogram]] = {}
        self._before: list[Callable[[], None]] = []

    def counter(self, name: str, text: str, *labels: str) -> Family[Counter]:
        family = Family(name, "counter", text, labels, Counter)
        self._add(family)
        return family

    def gauge(self, name: str, text: str, *labels: str) -> Family[Gauge]:
        family = Family(name, "gauge", text, labels, Gauge)
        self._add(family)
        return family

    def histogram(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> Family[Histogram]:
        family = Family(name, "histogram", text, labels, lambda: Histogram(bounds))
        self._add(family)
        return family

    def _add(self, family: Family[Counter] | Family[Gauge] | Family[Histogram]) -> None:
        assert family.name not in self.families, f"{family.name} is declared twice"
        self.families[family.name] = family

    def before_collection(self, read: Callable[[], None]) -> None:
        """Call `read` before each collection: it sets gauges to what is counted elsewhere."""
        self._before.append(read)

    def fold(self) -> None:
        """Count what histograms have noted, so that it does not pile up where nobody collects."""
        for family in self.families.values():
            if family.kind == "histogram":
                family.fold()

    def text(self) -> bytes:
        """Return everything in Prometheus' text form, sorted by name."""
        for read in self._before:
            read()
        shown = [family for name, family in sorted(self.families.items()) if name not in self._disabled]
        lines = [line for family in shown for line in family.lines()]
        return "\n".join([*lines, ""]).encode()


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
