"""EndpointSlice, discovery.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

ENDPOINTSLICES = Resource(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    namespaced=True,
    schema="io.k8s.api.discovery.v1.EndpointSlice",
    generation=True,
)
