"""From what the metrics ask for to what may be done now: stabilisation and rates of change. Pure.

Upstream: pkg/controller/podautoscaler/horizontal.go. The history is kept in memory; after a restart it
begins with the replicas that there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from podium.machinery.errors import Object

SCALE_UP_FACTOR = 2
SCALE_UP_AT_LEAST = 4
"""Without a behaviour: at once to twice as many as there are, or to this."""
WITHIN_RANGE = ("DesiredWithinRange", "the desired count is within the acceptable range")


@dataclass(frozen=True, slots=True)
class Sample:
    """A number of replicas (recommended, added or removed) at a moment of the monotonic clock."""

    replicas: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What has been recommended and done."""

    recommendations: tuple[Sample, ...] = ()
    added: tuple[Sample, ...] = ()
    removed: tuple[Sample, ...] = ()

    def with_change(self, behavior: Object | None, before: int, after: int, now_s: float) -> History:
        """Return the history after the target has been scaled."""
        if behavior is None:
            return self  # nobody will ask
        if after > before:
            kept = _kept(self.added, _longest_s(behavior.get("scaleUp")), now_s)
            return replace(self, added=(*kept, Sample(after - before, now_s)))
        kept = _kept(self.removed, _longest_s(behavior.get("scaleDown")), now_s)
        return replace(self, removed=(*kept, Sample(before - after, now_s)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    current: int
    min: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """How many replicas there should be now, and why: reason and message of the two conditions."""

    replicas: int
    able: tuple[str, str]
    limited: bool
    limit: tuple[str, str]
    history: History


READY = ("ReadyForNewScale", "recommended size matches current size")
_DOWN_STABILIZED = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
_UP_STABILIZED = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")


def limit(
    wanted: int, between: Range, behavior: Object | None, history: History, window_s: float, now_s: float
) -> Limited:
    """Return what may be done of what is wanted. `window_s`: how long scaling down waits by default."""
    if behavior is None:
        return _by_default(wanted, between, history, window_s, now_s)
    return _by_behavior(wanted, between, behavior, history, window_s, now_s)


def _by_default(wanted: int, between: Range, history: History, window_s: float, now_s: float) -> Limited:
    recent = _kept(history.recommendations, window_s, now_s)
    stable = max((wanted, *(sample.replicas for sample in recent)))
    most = min(between.max, max(SCALE_UP_FACTOR * between.current, SCALE_UP_AT_LEAST))
    if stable < between.min:
        replicas, why = between.min, _TOO_FEW
    elif stable > most:
        replicas, why = most, _UP_LIMIT if most < between.max else _TOO_MANY
    else:
        replicas, why = stable, WITHIN_RANGE
    return Limited(
        replicas=replicas,
        able=READY if stable == wanted else _DOWN_STABILIZED,
        limited=replicas != stable,
        limit=why,
        history=replace(history, recommendations=(*recent, Sample(wanted, now_s))),
    )


def _by_behavior(
    wanted: int, between: Range, behavior: Object, history: History, window_s: float, now_s: float
) -> Limited:
    up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
    up_s = float(up.get("stabilizationWindowSeconds") or 0)
    given = down.get("stabilizationWindowSeconds")
    down_s = window_s if given is None else float(given)
    lowest = min((wanted, *_replicas_since(history.recommendations, now_s - up_s)))
    highest = max((wanted, *_replicas_since(history.recommendations, now_s - down_s)))
    stable = min(max(between.current, lowest), highest)
    recent = _kept(history.recommendations, max(up_s, down_s), now_s)
    able = READY
    if stable != wanted:
        able = _UP_STABILIZED if wanted >= between.current else _DOWN_STABILIZED
    replicas, why = _by_rates(stable, between, up, down, history, now_s)
    return Limited(
        replicas=replicas,
        able=able,
        limited=replicas != stable,
        limit=why,
        history=replace(history, recommendations=(*recent, Sample(wanted, now_s))),
    )


def _by_rates(
    wanted: int, between: Range, up: Object, down: Object, history: History, now_s: float
) -> tuple[int, tuple[str, str]]:
    if wanted > between.current:
        most = max(between.current, _most(between.current, up, history, now_s))
        bound, why = (most, _UP_LIMIT) if most < between.max else (between.max, _TOO_MANY)
        if wanted > bound:
            return bound, why
    elif wanted < between.current:
        least = min(between.current, _least(between.current, down, history, now_s))
        bound, why = (least, _DOWN_LIMIT) if least > between.min else (between.min, _TOO_FEW)
        if wanted < bound:
            return bound, why
    return wanted, WITHIN_RANGE


def _most(current: int, rules: Object, history: History, now_s: float) -> int:
    """Return how many replicas the policies for scaling up allow."""
    select = rules.get("selectPolicy") or "Max"
    if select == "Disabled":
        return current
    found = []
    for policy, start in _policies(current, rules, history, now_s):
        if policy["type"] == "Pods":
            found.append(start + policy["value"])
        else:
            # Rounded up, or few replicas would never become more.
            found.append(math.ceil(start * (1 + policy["value"] / 100)))
    return (min if select == "Min" else max)(found, default=current)


def _least(current: int, rules: Object, history: History, now_s: float) -> int:
    """Return how few replicas the policies for scaling down allow."""
    select = rules.get("selectPolicy") or "Max"
    if select == "Disabled":
        return current
    found = []
    for policy, start in _policies(current, rules, history, now_s):
        if policy["type"] == "Pods":
            found.append(start - policy["value"])
        else:
            found.append(int(start * (1 - policy["value"] / 100)))
    # The policy that changes least leaves the most.
    return (max if select == "Min" else min)(found, default=current)


def _policies(current: int, rules: Object, history: History, now_s: float) -> Iterable[tuple[Object, int]]:
    """Yield each policy with the replicas that there were when its period began."""
    for policy in rules.get("policies") or ():
        since_s = now_s - policy["periodSeconds"]
        added = sum(_replicas_since(history.added, since_s))
        removed = sum(_replicas_since(history.removed, since_s))
        yield policy, current - added + removed


def _replicas_since(samples: Sequence[Sample], since_s: float) -> list[int]:
    return [sample.replicas for sample in samples if sample.at_s > since_s]


def _kept(samples: Sequence[Sample], window_s: float, now_s: float) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.at_s >= now_s - window_s)


def _longest_s(rules: Object | None) -> float:
    policies = (rules or {}).get("policies") or ()
    return float(max((policy["periodSeconds"] for policy in policies), default=0))
