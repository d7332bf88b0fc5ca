"""LimitRange, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

LIMITRANGES = Resource(
    version="v1",
    kind="LimitRange",
    plural="limitranges",
    namespaced=True,
    short_names=("limits",),
    schema="io.k8s.api.core.v1.LimitRange",
    create_on_update=True,
)
