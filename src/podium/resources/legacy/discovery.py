"""EndpointSlice, discovery.k8s.io/v1beta1: where an endpoint is stands in a map of topology labels."""

from __future__ import annotations

from podium.machinery.derived import Change, Package
from podium.machinery.errors import Object
from podium.resources.defaulting import items
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.resources.legacy.older import copied, older

PACKAGE = Package(
    name="io.k8s.api.discovery.v1beta1",
    group="discovery.k8s.io",
    version="v1beta1",
    bases=("io.k8s.api.discovery.v1",),
    changes={"Endpoint": Change(renamed={"deprecatedTopology": "topology"}, without=("zone",))},
)

_ZONE, _HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def to_v1(endpoint_slice: Object) -> Object:
    """Return the slice with zones and nodes in fields of their own."""
    result = copied(endpoint_slice, "endpoints")
    for endpoint in items(result, "endpoints"):
        topology = endpoint.pop("topology", None)
        if topology is None:
            continue
        rest = dict(topology)
        if _ZONE in rest:
            endpoint["zone"] = rest.pop(_ZONE)
        if _HOST in rest and rest[_HOST] == endpoint.get("nodeName"):
            del rest[_HOST]
        if rest:
            endpoint["deprecatedTopology"] = rest
    return result


def from_v1(endpoint_slice: Object) -> Object:
    """Return the slice with zones and nodes among the topology labels."""
    result = copied(endpoint_slice, "endpoints")
    for endpoint in items(result, "endpoints"):
        topology = dict(endpoint.pop("deprecatedTopology", None) or {})
        zone, node = endpoint.pop("zone", None), endpoint.get("nodeName")
        if zone is not None:
            topology[_ZONE] = zone
        if node is not None and not topology.get(_HOST):
            topology[_HOST] = node
        if topology:
            endpoint["topology"] = topology
    return result


ENDPOINTSLICES_V1BETA1 = older(
    ENDPOINTSLICES,
    PACKAGE,
    deprecated=(1, 21),
    removed=(1, 25),
    to_storage=to_v1,
    from_storage=from_v1,
)

PACKAGES = (PACKAGE,)
RESOURCES = (ENDPOINTSLICES_V1BETA1,)
