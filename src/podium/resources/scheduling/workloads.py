"""Workload, scheduling.k8s.io/v1alpha2."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child, items
from podium.resources.printing import AGE, NAME
from podium.resources.scheduling.podgroups import default_group, group_fields


def _defaults(workload: Object) -> None:
    for template in items(child(workload, "spec"), "podGroupTemplates"):
        default_group(template)


WORKLOADS = Resource(
    group="scheduling.k8s.io",
    version="v1alpha2",
    kind="Workload",
    plural="workloads",
    namespaced=True,
    schema="io.k8s.api.scheduling.v1alpha2.Workload",
    gated=group_fields("spec.podGroupTemplates[]"),
    gate="GenericWorkload",
    defaults=_defaults,
    columns=(NAME, AGE),
    validate=deferred.check("scheduling.group_validation", "validate_workload"),
    validate_update=deferred.update_check("scheduling.group_validation", "validate_workload_update"),
)
