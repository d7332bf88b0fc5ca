"""ResourceClaim, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

RESOURCECLAIMS = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceClaim",
    plural="resourceclaims",
    namespaced=True,
    schema="io.k8s.api.resource.v1.ResourceClaim",
    status=True,
)
