"""ResourceSlice, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

RESOURCESLICES = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceSlice",
    plural="resourceslices",
    namespaced=False,
    schema="io.k8s.api.resource.v1.ResourceSlice",
    generation=True,
)
