"""One priority level at work: what its object says, its queues, its limits and its demand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podium.apiserver.flowcontrol.fair_queue import FairQueues
from podium.apiserver.flowcontrol.observing import Chronicle, Integrator, Observed
from podium.apiserver.flowcontrol.sharing import Demand, Limits
from podium.machinery.errors import Object
from podium.resources.flowcontrol.mandatory import LEVEL_SPECS

if TYPE_CHECKING:
    from podium.apiserver.flowcontrol.metrics import LevelFigures

_WIDEST = 0.15
"""The part of a level's nominal seats that one request may be thought to need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpec:
    """One PriorityLevelConfiguration."""

    name: str
    uid: str = ""
    exempt: bool = False
    shares: int = 0
    lendable_percent: int = 0
    borrowing_percent: int | None = None
    """None: without limit."""
    queues: int = 0
    """0: what finds no seat is rejected."""
    hand_size: int = 0
    length_max: int = 0


def read_level(obj: Object) -> LevelSpec | None:
    """Return what a PriorityLevelConfiguration says, None when it is broken."""
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    name, uid, kind = str(metadata.get("name") or ""), str(metadata.get("uid") or ""), spec.get("type")
    if kind == "Exempt":
        said = spec.get("exempt") or {}
        shares, lendable = said.get("nominalConcurrencyShares") or 0, said.get("lendablePercent") or 0
        return LevelSpec(name=name, uid=uid, exempt=True, shares=shares, lendable_percent=lendable)
    limited = spec.get("limited")
    if kind != "Limited" or limited is None:
        return None
    response = limited.get("limitResponse") or {}
    queuing = response.get("queuing") or {}
    if (response.get("type") == "Queue") is not bool(queuing):
        return None
    shares = limited.get("nominalConcurrencyShares")
    return LevelSpec(
        name=name,
        uid=uid,
        shares=30 if shares is None else shares,
        lendable_percent=limited.get("lendablePercent") or 0,
        borrowing_percent=limited.get("borrowingLimitPercent"),
        queues=queuing.get("queues") or 0,
        hand_size=queuing.get("handSize") or 0,
        length_max=queuing.get("queueLengthLimit") or 0,
    )


def mandatory(name: str) -> LevelSpec:
    """Return a level that is there even when its object is not."""
    spec = read_level({"metadata": {"name": name}, "spec": LEVEL_SPECS[name]})
    assert spec is not None
    return spec


class Level:
    """A priority level: requests wait here and hold seats."""

    def __init__(self, spec: LevelSpec, figures: LevelFigures, now_s: float) -> None:
        self.spec = spec
        self.figures = figures
        self.queues = FairQueues()
        self.limits = Limits(nominal=0, minimum=0, maximum=0)
        self.demand = Demand()
        self._chronicle = Chronicle(now_s)
        self._integrator = Integrator()
        self.served = 0.0
        """The event loop's time that it was given, by the seats that it has: who has least is next."""
        self.quiescing = False
        """Its object is gone; who is still in it is let out."""
        self.fresh = True

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def weight(self) -> int:
        """Return its part of the event loop among levels that wait for it."""
        return max(1, self.queues.limit)

    @property
    def seats_max(self) -> int:
        """Return how many seats one request may be thought to need; 0 where nothing says."""
        if not self.spec.queues:
            return 0
        nominal = self.limits.nominal
        return max(1, min(math.ceil(nominal * _WIDEST), nominal // max(1, self.spec.hand_size)))

    def configure(self, spec: LevelSpec, limits: Limits) -> None:
        """Take what the objects say now."""
        self.spec, self.limits, self.quiescing = spec, limits, False
        self.queues.configure(queues=spec.queues, length_max=spec.length_max, exempt=spec.exempt)
        if self.fresh:
            self.fresh = False
            self.queues.limit = limits.nominal - (limits.nominal - limits.minimum) // 2

    def note(self, now_s: float) -> None:
        """Note what has changed in the queues."""
        queues = self.queues
        self._chronicle.note(
            (queues.seats_in_use, queues.seats_waiting, queues.waiting, queues.executing), now_s
        )

    def fold(self, now_s: float) -> None:
        """Bring the figures up to date with what has been noted."""
        states = self._chronicle.take(now_s)
        self._integrator.add(states)
        self.figures.held(states)

    def observed(self, now_s: float) -> Observed | None:
        """Return the demand since the last time; None when no time has passed."""
        self.fold(now_s)
        return self._integrator.reset()
