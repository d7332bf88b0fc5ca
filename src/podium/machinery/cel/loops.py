"""The closures of macros: what is done for each element of a list or a map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from podium.machinery.cel.costs import LIST_COST, cost_of
from podium.machinery.cel.errors import NO_SUCH_OVERLOAD, CelRuntimeError, CostExceeded
from podium.machinery.cel.frame import COST, SURPRISES, Frame, Run, charged
from podium.machinery.cel.library.lists import sort_by
from podium.machinery.cel.library.operators import has_key, key_text
from podium.machinery.cel.values import (
    NONE,
    Optional,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The loop of a macro: binds the variables to one element after the other."""

    target: Run
    slots: list[int]

    def over(self, frame: Frame) -> Iterator[Any]:
        """Yield each element's key (in a list: the element when there is one variable, else its index)."""
        values = self.target(frame)
        if not isinstance(values, list | dict):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        slot = self.slots[0]
        if len(self.slots) == 1:
            for value in values:
                charged(frame)
                frame[slot] = value
                yield value
            return
        second = self.slots[1]
        for key, value in enumerate(values) if isinstance(values, list) else values.items():
            charged(frame)
            frame[slot], frame[second] = key, value
            yield key


def quantified(steps: Steps, predicate: Run, *, stop: bool) -> Run:
    # The loop's condition and the accumulator: all `not_strictly_false(accu)`, exists one negation more.
    before = 3 if stop else 2

    def quantified(frame: Frame) -> bool:
        fault: Exception | None = None
        found = False
        for _ in steps.over(frame):
            frame[COST] += before
            if found:
                break
            frame[COST] += 1
            try:
                value = predicate(frame)
            except CostExceeded:
                raise
            except (CelRuntimeError, *SURPRISES) as error:
                fault = fault or error
                continue
            if value is stop:
                found = True
            elif type(value) is not bool:
                fault = fault or CelRuntimeError(NO_SUCH_OVERLOAD)
        frame[COST] += 1
        if found:
            return stop
        if fault is not None:
            raise fault
        return not stop

    return quantified


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def exists_one(steps: Steps, predicate: Run) -> Run:
    def exists_one(frame: Frame) -> bool:
        count = 0
        for _ in steps.over(frame):
            hit = _truth(predicate(frame))
            count += hit
            frame[COST] += 2 if hit else 0
        frame[COST] += 2
        return count == 1

    return exists_one


def filtering(steps: Steps, predicate: Run) -> Run:
    def filtered(frame: Frame) -> list[Any]:
        kept: list[Any] = []
        for value in steps.over(frame):
            if _truth(predicate(frame)):
                kept.append(value)
                frame[COST] += 3 + LIST_COST
        frame[COST] += 1
        return kept

    return filtered


def mapping(steps: Steps, condition: Run | None, transform: Run) -> Run:
    def mapped(frame: Frame) -> list[Any]:
        made: list[Any] = []
        for _ in steps.over(frame):
            if condition is not None and not _truth(condition(frame)):
                continue
            made.append(transform(frame))
            frame[COST] += 2 + LIST_COST
        frame[COST] += 1
        return made

    return mapped


def transform_map(steps: Steps, condition: Run | None, transform: Run, entries: bool) -> Run:
    def mapped(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key in steps.over(frame):
            if condition is not None and not _truth(condition(frame)):
                continue
            value = transform(frame)
            frame[COST] += 2 if entries else 3
            if entries and not isinstance(value, dict):
                raise CelRuntimeError(NO_SUCH_OVERLOAD)
            for new, item in value.items() if entries else ((key, value),):
                if has_key(made, new):
                    raise CelRuntimeError(f"insert failed: key {key_text(new)} already exists")
                made[new] = item
        frame[COST] += 1
        return made

    return mapped


def sorting(steps: Steps, target: Run, key_of: Run, slot: int) -> Run:
    cost = cost_of("@sortByAssociatedKeys", "")
    assert cost is not None

    def sort(frame: Frame) -> list[Any]:
        values = target(frame)
        if not isinstance(values, list):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        keys: list[Any] = []
        for value in values:
            charged(frame)
            frame[slot] = value
            keys.append(key_of(frame))
            frame[COST] += 2 + LIST_COST
        frame[COST] += 3 + cost((values, keys), None)
        charged(frame)
        return sort_by(values, keys)

    return sort


def binding(value: Run, slot: int, result: Run) -> Run:
    def bound(frame: Frame) -> Any:
        frame[slot] = value(frame)
        return result(frame)

    return bound


def optional_macro(target: Run, slot: int, transform: Run, *, wrap: bool) -> Run:
    def mapped(frame: Frame) -> Any:
        before = frame[COST]
        value = target(frame)
        if not isinstance(value, Optional):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        frame[COST] += 1
        if not value.present:
            frame[COST] += 1
            return NONE
        # Upstream works out the target once more, to take the value out of it.
        frame[COST] += frame[COST] - before
        frame[slot] = value.value()
        result = transform(frame)
        frame[COST] += wrap
        if wrap:
            return Optional(result)
        if not isinstance(result, Optional):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        return result

    return mapped
