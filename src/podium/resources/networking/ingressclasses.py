"""IngressClass, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

INGRESSCLASSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IngressClass",
    plural="ingressclasses",
    namespaced=False,
    schema="io.k8s.api.networking.v1.IngressClass",
    generation=True,
)
