"""PriorityClass, scheduling.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, drop_zero
from podium.resources.printing import AGE, NAME, column, count


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
    columns=(
        NAME,
        column("Value", lambda obj: count(obj.get("value")), type="integer"),
        column("Global-Default", lambda obj: bool(obj.get("globalDefault")), type="boolean"),
        AGE,
        column("PreemptionPolicy", lambda obj: obj.get("preemptionPolicy") or ""),
    ),
    validate=deferred.check("scheduling.validation", "validate_class"),
    validate_update=deferred.update_check("scheduling.validation", "validate_class_update"),
)
