"""How the server's seats are shared out among the priority levels: by shares, then by who lends to whom.

Upstream: apf_controller.go (limits, borrowing every ten seconds) and conc_alloc.go (the allocation). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TARGET_MIN = 0.001
_EPSILON = 1e-7
SMOOTHING = 0.977
"""Of demand, each ten seconds: what is over counts half after five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The seats of one level, as configured."""

    nominal: int
    minimum: int
    """What it never lends."""
    maximum: int
    """What it has when it has borrowed all it may."""


def limits(
    shares: int, lendable_percent: int, borrowing_percent: int | None, *, shares_sum: float, total: int
) -> Limits:
    """Return what a level with `shares` of `shares_sum` gets of `total` seats."""
    nominal = math.ceil(total * shares / shares_sum) if shares_sum else 0
    borrowing = total if borrowing_percent is None else _rounded(nominal * borrowing_percent / 100)
    lendable = _rounded(nominal * lendable_percent / 100)
    return Limits(nominal=nominal, minimum=nominal - lendable, maximum=nominal + borrowing)


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one level should get, and between what bounds."""

    target: float
    lower: float
    upper: float


def allocate(total: float, claims: Sequence[Claim]) -> tuple[list[float], float]:
    """Return allocations that sum to `total`, and the fair proportion: each is that times its target, unless
    that is outside its bounds, which it then has.

    Raises ValueError where the bounds leave no such allocation.
    """
    targets = [max(claim.target, TARGET_MIN) for claim in claims]
    if sum(claim.lower for claim in claims) - total > _EPSILON:
        raise ValueError("the lower bounds sum to more than there is")
    if total - sum(claim.upper for claim in claims) > _EPSILON:
        raise ValueError("the upper bounds sum to less than there is")

    def at(proportion: float) -> list[float]:
        return [
            max(claim.lower, min(claim.upper, proportion * target))
            for claim, target in zip(claims, targets, strict=True)
        ]

    # The sum grows with the proportion, in straight lines between those at which somebody meets a bound.
    bends = sorted(
        {claim.lower / target for claim, target in zip(claims, targets, strict=True)}
        | {claim.upper / target for claim, target in zip(claims, targets, strict=True)}
    )
    before, sum_before = 0.0, sum(at(0.0))
    for bend in bends:
        here = sum(at(bend))
        if here >= total:
            slope = (here - sum_before) / (bend - before) if bend > before else 0.0
            fair = before + (total - sum_before) / slope if slope else bend
            return at(fair), fair
        before, sum_before = bend, here
    return at(before), before


@dataclass(slots=True)
class Demand:
    """How many seats a level could have used: over the last period, and smoothed over time."""

    average: float = 0.0
    deviation: float = 0.0
    high: int = 0
    smoothed: float = 0.0

    def take(self, *, average: float, deviation: float, high: float) -> None:
        """Take the figures of the period that is over."""
        self.high = _rounded(high)
        self.average, self.deviation = average, deviation
        envelope = average + deviation
        self.smoothed = max(envelope, SMOOTHING * self.smoothed + (1 - SMOOTHING) * envelope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A level among those that share."""

    limits: Limits
    demand: Demand
    current: int
    exempt: bool = False

    @property
    def floor(self) -> int:
        """Return what it keeps in this period whoever asks: what it has used, within its own."""
        if self.exempt:
            return max(self.limits.minimum, self.demand.high)
        return max(self.limits.minimum, min(self.limits.nominal, self.demand.high))

    @property
    def target(self) -> float:
        return max(float(self.floor), self.demand.smoothed)


def share_out(members: Mapping[str, Member]) -> tuple[dict[str, int], float]:
    """Return the seats of each level for the next period, and the fair fraction (0: there is none)."""
    total = sum(member.limits.nominal for member in members.values())
    new = {name: member.floor for name, member in members.items() if member.exempt}
    limited = {name: member for name, member in members.items() if not member.exempt}
    left = total - sum(new.values())
    minimum = sum(member.limits.minimum for member in limited.values())
    floor = sum(member.floor for member in limited.values())
    if left <= minimum:
        return new | {name: member.limits.minimum for name, member in limited.items()}, 0.0
    if left <= floor:
        part = (left - minimum) / (floor - minimum)
        for name, member in limited.items():
            lowest = member.limits.minimum
            new[name] = lowest + _rounded((member.floor - lowest) * part)
        return new, 0.0
    claims = [
        Claim(target=member.target, lower=member.floor, upper=member.limits.maximum)
        for member in limited.values()
    ]
    try:
        # As upstream, of all there is nominally, also where exempt requests have used some.
        allocations, fair = allocate(total, claims)
    except ValueError:
        return new | {name: member.current for name, member in limited.items()}, 0.0
    return new | {name: _rounded(value) for name, value in zip(limited, allocations, strict=True)}, fair
