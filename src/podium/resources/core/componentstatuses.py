"""ComponentStatus, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

COMPONENTSTATUSES = Resource(
    version="v1",
    kind="ComponentStatus",
    plural="componentstatuses",
    namespaced=False,
    short_names=("cs",),
    verbs=("get", "list"),
    schema="io.k8s.api.core.v1.ComponentStatus",
    stored=False,
)
