"""Ingress, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import child


def _defaults(ingress: Object) -> None:
    child(ingress, "spec")
    child(child(ingress, "status"), "loadBalancer")


def _prepare_create(ingress: Object) -> None:
    ingress["status"] = {"loadBalancer": {}}


INGRESSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="Ingress",
    plural="ingresses",
    namespaced=True,
    short_names=("ing",),
    schema="io.k8s.api.networking.v1.Ingress",
    storage_prefix="ingress",
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
