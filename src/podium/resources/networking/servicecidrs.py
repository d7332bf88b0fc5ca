"""ServiceCIDR, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

SERVICECIDRS = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="ServiceCIDR",
    plural="servicecidrs",
    namespaced=False,
    schema="io.k8s.api.networking.v1.ServiceCIDR",
    status=True,
)
