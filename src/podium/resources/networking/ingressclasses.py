"""IngressClass, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, child, given


def _defaults(ingress_class: Object) -> None:
    parameters = given(child(ingress_class, "spec"), "parameters")
    if parameters is not None:
        absent(parameters, "scope", "Cluster")


INGRESSCLASSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IngressClass",
    plural="ingressclasses",
    namespaced=False,
    schema="io.k8s.api.networking.v1.IngressClass",
    generation=True,
    defaults=_defaults,
)
