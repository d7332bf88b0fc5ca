"""How fast silent nodes may be emptied: zone by zone, and slower the more of a zone is in trouble. Pure.

    normal    one node in ten seconds
    partial   more than half of the zone (and three nodes at least): in large clusters one in a hundred
              seconds, in small ones none; it may well be the network that is ill
    full      all of the zone: as normal, unless all other zones are too (then nobody is evicted)

Upstream: pkg/controller/nodelifecycle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from podium.machinery import meta
from podium.machinery.errors import Object

NOT_COUNTED = "node.kubernetes.io/exclude-disruption"
_REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_ZONE = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_PARTIAL_AT_LEAST = 3
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionRates:
    """Nodes a second, and when which rate holds."""

    normal: float = 0.1
    secondary: float = 0.01
    unhealthy_part: float = 0.55
    """From which part of its nodes in trouble a zone is partially disrupted."""
    large_cluster: int = 50
    """Above so many nodes in a zone the secondary rate is more than nothing."""


class ZoneState(Enum):
    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_of(node: Object) -> str:
    """Return what tells a node's zone from others; the same for all nodes that name none."""
    labels = meta.labels(node)
    region, zone = (next((labels[k] for k in keys if labels.get(k)), "") for keys in (_REGION, _ZONE))
    return f"{region}:{zone}" if region or zone else ""


def state_of(ready: int, not_ready: int, rates: EvictionRates) -> ZoneState:
    """Return the state of a zone with so many nodes that are ready, and are not."""
    if not ready and not_ready:
        return ZoneState.FULL
    part = not_ready / (ready + not_ready) if not_ready else 0.0
    if not_ready >= _PARTIAL_AT_LEAST and part >= rates.unhealthy_part:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def rate_for(node: Object, nodes: Iterable[Object], rates: EvictionRates) -> float:
    """Return how many nodes of the node's zone may be emptied in a second."""
    zone = zone_of(node)
    ready = not_ready = 0
    for other in nodes:
        if zone_of(other) != zone or NOT_COUNTED in meta.labels(other):
            continue
        if meta.condition_true(other, "Ready"):
            ready += 1
        else:
            not_ready += 1
    if state_of(ready, not_ready, rates) is not ZoneState.PARTIAL:
        return rates.normal
    return rates.secondary if ready + not_ready > rates.large_cluster else 0.0


class Turns:
    """Who may be emptied next: one node at once in each zone, then one whenever the rate allows."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}
        """By zone: what is left of the next turn, and when that was so."""

    def take(self, zone: str, rate: float, now_s: float) -> float:
        """Take a turn: return 0 when it is given, else in how many seconds there may be one."""
        left, since_s = self._left.get(zone, (1.0, now_s))
        left = min(1.0, left + (now_s - since_s) * rate)
        given = left >= 1.0 - _ROUNDING and rate > 0
        self._left[zone] = (left - 1.0 if given else left, now_s)
        if given:
            return 0.0
        return (1.0 - left) / rate if rate > 0 else math.inf
