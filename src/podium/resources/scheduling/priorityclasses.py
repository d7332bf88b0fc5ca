"""PriorityClass, scheduling.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

PRIORITYCLASSES = Resource(
    group="scheduling.k8s.io",
    version="v1",
    kind="PriorityClass",
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
    schema="io.k8s.api.scheduling.v1.PriorityClass",
    generation=True,
)
