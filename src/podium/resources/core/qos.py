"""The quality of service class of a pod: who is evicted first."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.checks import objects, parse_quantity
from podium.resources.defaulting import given

_COMPUTE = ("cpu", "memory")


def qos_class(spec: Object) -> str:
    """Return Guaranteed, Burstable or BestEffort, from what the pod or its containers request."""
    own = given(spec, "resources")
    if own is not None and (own.get("limits") or own.get("requests")):
        parts = [own]
    else:
        parts = [
            given(container, "resources") or {}
            for key in ("containers", "initContainers")
            for container in objects(spec.get(key))
        ]
    amounts = [(_positive(part.get("requests")), _positive(part.get("limits"))) for part in parts]
    if not any(requests or limits for requests, limits in amounts):
        return "BestEffort"
    if all(limits.keys() == set(_COMPUTE) and requests == limits for requests, limits in amounts):
        return "Guaranteed"
    return "Burstable"


def _positive(amounts: object) -> dict[str, int]:
    if not isinstance(amounts, dict):
        return {}
    found = {name: parse_quantity(amounts[name]).nanos for name in _COMPUTE if name in amounts}
    return {name: nanos for name, nanos in found.items() if nanos > 0}
