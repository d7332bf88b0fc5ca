"""Endpoints, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import blank, drop_zero, items


def _defaults(endpoints: Object) -> None:
    drop_zero(endpoints, "subsets")
    for subset in items(endpoints, "subsets"):
        for port in items(subset, "ports"):
            blank(port, "protocol", "TCP")
            drop_zero(port, "name")


ENDPOINTS = Resource(
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    namespaced=True,
    short_names=("ep",),
    schema="io.k8s.api.core.v1.Endpoints",
    storage_prefix="services/endpoints",
    create_on_update=True,
    defaults=_defaults,
)
