"""Topology-aware hints: which zone's clients an endpoint is for, shared out by the CPUs of the zones. Pure.

    ratios of nodes -> allocations of endpoints -> each endpoint its own zone -> some are given away

Only for Services that ask for it by annotation; `trafficDistribution` is simpler. Upstream:
staging/src/k8s.io/endpointslice/topologycache.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.quantity import parse

ZONE = "topology.kubernetes.io/zone"
ENABLED = "Topology Aware Hints has been enabled"
DISABLED = "Topology Aware Hints has been disabled"
_OVERLOAD = 0.2
"""By how much more than its share an endpoint may get."""
_ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
_NOT_COUNTED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

Zones = dict[str, int]
"""How many endpoints are for each zone."""


class NoHints(Exception):
    """Hints would do more harm than good; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allocation:
    maximum: int
    desired: float


def asked_for(service: Object) -> bool:
    """Tell whether the Service's annotations ask for hints; the older name goes before the newer."""
    annotations = meta.annotations(service)
    value = next((annotations[name] for name in _ANNOTATIONS if name in annotations), "")
    return value in ("Auto", "auto")


def ratios(nodes: Iterable[Object]) -> dict[str, float]:
    """Return each zone's share of the CPUs of all ready workers; nothing unless that is known of each of
    them, and of two zones at least."""
    cpus: dict[str, int] = {}
    for node in nodes:
        if any(label in meta.labels(node) for label in _NOT_COUNTED) or not meta.condition_true(
            node, "Ready"
        ):
            continue
        zone = meta.labels(node).get(ZONE)
        milli = parse(meta.dig(node, "status", "allocatable", "cpu", default="0")).milli()
        if not zone or not milli:
            return {}
        cpus[zone] = cpus.get(zone, 0) + milli
    total = sum(cpus.values())
    return {zone: milli / total for zone, milli in cpus.items()} if len(cpus) > 1 else {}


def overloaded(zones: Mapping[str, int], shares: Mapping[str, float]) -> bool:
    """Tell whether some zone has too few endpoints for its share, now that the nodes are these."""
    if not zones:
        return False
    total = sum(zones.values())
    return not shares or any(
        zones.get(zone, -1) < math.ceil(total * share / (1 + _OVERLOAD)) for zone, share in shares.items()
    )


def assign(fresh: list[Object], unchanged: list[Object], shares: Mapping[str, float]) -> Zones:
    """Give each ready endpoint a zone, in place. Raises NoHints.

    `fresh` are slices that will be written, and the caller's to change; of the `unchanged`, those that do
    not fit are copied over to them.
    """
    ready = sum(is_ready(e) for s in (*fresh, *unchanged) for e in s.get("endpoints") or ())
    allocations = _allocations(shares, ready)
    zones: Zones = {}
    for slice_ in list(unchanged):
        hinted = _hinted_zones(slice_, zones, allocations)
        if hinted is None:
            unchanged.remove(slice_)
            fresh.append(meta.deep_copy(slice_))
            continue
        for zone, count in hinted.items():
            zones[zone] = zones.get(zone, 0) + count
    places = [(s["endpoints"], i) for s in fresh for i, e in enumerate(s["endpoints"]) if is_ready(e)]
    for endpoints, index in places:
        zone = endpoints[index].get("zone")
        if not zone:
            raise NoHints("One or more endpoints do not have a zone specified")
        endpoints[index] = _for_zone(endpoints[index], zone)
        zones[zone] = zones.get(zone, 0) + 1
    giving, receiving = _moves(allocations, zones)
    for endpoints, index in places:
        zone = endpoints[index]["zone"]
        if not receiving:
            break
        if not giving.get(zone):
            continue
        to = next(iter(receiving))
        endpoints[index] = _for_zone(endpoints[index], to)
        for counts, name in ((giving, zone), (receiving, to)):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]
        zones[zone] -= 1
        zones[to] = zones.get(to, 0) + 1
    if not zones:
        raise NoHints("No hints allocated for zones")
    return zones


def is_ready(endpoint: Object) -> bool:
    return meta.dig(endpoint, "conditions", "ready") is True


def _for_zone(endpoint: Object, zone: str) -> Object:
    return {**endpoint, "hints": {"forZones": [{"name": zone}]}}


def _allocations(shares: Mapping[str, float], endpoints: int) -> dict[str, _Allocation]:
    if not shares:
        raise NoHints(
            "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
        )
    counts = f"({endpoints} endpoints, {len(shares)} zones)"
    if len(shares) > endpoints:
        raise NoHints(f"Insufficient number of endpoints {counts}")
    desired = {zone: share * endpoints for zone, share in shares.items()}
    least = {zone: math.ceil(wanted * (1 / (1 + _OVERLOAD))) for zone, wanted in desired.items()}
    spare = endpoints - sum(least.values())
    if spare < 0:
        raise NoHints(
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold "
            + counts
        )
    return {
        zone: _Allocation(maximum=least[zone] + spare, desired=max(wanted, least[zone]))
        for zone, wanted in desired.items()
    }


def _hinted_zones(
    slice_: Object, zones: Mapping[str, int], allocations: Mapping[str, _Allocation]
) -> Zones | None:
    """Return for which zones a slice's endpoints are; None when it cannot stay as it is."""
    hinted: Zones = {}
    for endpoint in filter(is_ready, slice_.get("endpoints") or ()):
        for_zones = meta.dig(endpoint, "hints", "forZones", default=())
        if not for_zones or any(one.get("name") not in allocations for one in for_zones):
            return None
        for one in for_zones:
            hinted[one["name"]] = hinted.get(one["name"], 0) + 1
    fits = all(count + zones.get(zone, 0) <= allocations[zone].maximum for zone, count in hinted.items())
    return hinted if fits else None


def _moves(allocations: Mapping[str, _Allocation], zones: Mapping[str, int]) -> tuple[Zones, Zones]:
    """Return how many endpoints each zone gives to others, and how many each gets."""
    differences = {zone: zones.get(zone, 0) - one.desired for zone, one in allocations.items()}
    more = {zone: difference for zone, difference in differences.items() if difference > 0}
    less = {zone: -difference for zone, difference in differences.items() if difference < 0}
    giving: Zones = {}
    receiving: Zones = {}
    while more and less:
        giver, gets = max(more, key=more.__getitem__), max(less, key=less.__getitem__)
        enough = max(more[giver], less[gets]) >= 1 and min(more[giver], less[gets]) >= 0.5
        if not enough:
            break
        giving[giver] = giving.get(giver, 0) + 1
        receiving[gets] = receiving.get(gets, 0) + 1
        more[giver] -= 1
        less[gets] -= 1
    return giving, receiving
