"""PriorityClass, scheduling.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, drop_zero


def _defaults(priority_class: Object) -> None:
    absent(priority_class, "value", 0)
    absent(priority_class, "preemptionPolicy", "PreemptLowerPriority")
    drop_zero(priority_class, "globalDefault", "description")


PRIORITYCLASSES = Resource(
    group="scheduling.k8s.io",
    version="v1",
    kind="PriorityClass",
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
    schema="io.k8s.api.scheduling.v1.PriorityClass",
    generation=True,
    defaults=_defaults,
)
