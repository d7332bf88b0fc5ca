"""EndpointSlice, discovery.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, child, items


def _defaults(endpoint_slice: Object) -> None:
    for endpoint in items(endpoint_slice, "endpoints"):
        child(endpoint, "conditions")
    for port in items(endpoint_slice, "ports"):
        absent(port, "name", "")
        absent(port, "protocol", "TCP")
    endpoint_slice.setdefault("endpoints", None)
    endpoint_slice.setdefault("ports", None)


ENDPOINTSLICES = Resource(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    namespaced=True,
    schema="io.k8s.api.discovery.v1.EndpointSlice",
    generation=True,
    defaults=_defaults,
    generation_fields=("endpoints", "ports", "addressType"),
)
