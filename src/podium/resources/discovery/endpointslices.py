"""EndpointSlice, discovery.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.validation import is_dns1123_subdomain
from podium.resources import deferred
from podium.resources.defaulting import absent, child, given, items
from podium.resources.printing import AGE, NAME, UNSET, column, joined

_HOST_NAME = "kubernetes.io/hostname"


def _defaults(endpoint_slice: Object) -> None:
    for endpoint in items(endpoint_slice, "endpoints"):
        child(endpoint, "conditions")
    for port in items(endpoint_slice, "ports"):
        absent(port, "name", "")
        absent(port, "protocol", "TCP")
    endpoint_slice.setdefault("endpoints", None)
    endpoint_slice.setdefault("ports", None)


def _drop_topology(new: Object, old: Object | None) -> None:
    """What only the older version has is not to be written in this one; of it, names of nodes stay."""
    # Checks are loaded where objects are written: in the API server alone.
    from podium.resources.checks import unchanged  # noqa: PLC0415

    if old is not None and unchanged(new.get("endpoints"), old.get("endpoints")):
        return
    known = {
        topology.get(_HOST_NAME)
        for endpoint in items(old, "endpoints")
        if (topology := given(endpoint, "deprecatedTopology"))
    }
    for endpoint in items(new, "endpoints"):
        node = (endpoint.pop("deprecatedTopology", None) or {}).get(_HOST_NAME)
        if node and node in known and endpoint.get("nodeName") is None and is_dns1123_subdomain(node):
            endpoint["nodeName"] = node


def _ports(endpoint_slice: Object) -> str:
    texts = []
    for port in items(endpoint_slice, "ports"):
        number, name = port.get("port"), port.get("name")
        texts.append(str(number) if number is not None else "*" if name is None else name)
    return joined(texts) or UNSET


def _addresses(endpoint_slice: Object) -> str:
    endpoints = items(endpoint_slice, "endpoints")
    return joined(str(a) for endpoint in endpoints for a in endpoint.get("addresses") or ()) or UNSET


ENDPOINTSLICES = Resource(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    namespaced=True,
    schema="io.k8s.api.discovery.v1.EndpointSlice",
    metadata_again=1,
    compares_metadata=False,
    generation=True,
    defaults=_defaults,
    prepare_own=_drop_topology,
    generation_of_dropped=True,
    generation_fields=("endpoints", "ports", "addressType", "metadata.labels"),
    columns=(
        NAME,
        column("AddressType", lambda obj: obj.get("addressType") or ""),
        column("Ports", _ports),
        column("Endpoints", _addresses),
        AGE,
    ),
    validate=deferred.check("discovery.validation", "validate_slice"),
    validate_update=deferred.update_check("discovery.validation", "validate_slice_update"),
    warnings=deferred.warnings("discovery.validation", "slice_warnings"),
)
