"""PodGroup, scheduling.k8s.io/v1alpha2."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, child, given
from podium.resources.printing import AGE, NAME, NONE, column, condition, spec


def default_group(group: Object) -> None:
    """Fill in what a group of pods, or the template of one, has."""
    child(group, "schedulingPolicy")


def group_fields(spec: str) -> tuple[Gated, ...]:
    """Return the gated fields of a group of pods at the path `spec`, or of a template of one."""
    return (
        Gated(gate="TopologyAwareWorkloadScheduling", paths=(f"{spec}.schedulingConstraints",)),
        Gated(gate="DRAWorkloadResourceClaims", paths=(f"{spec}.resourceClaims",)),
        *(
            Gated(gate="WorkloadAwarePreemption", paths=(f"{spec}.{key}",))
            for key in ("disruptionMode", "priorityClassName", "priority")
        ),
    )


def _defaults(group: Object) -> None:
    default_group(child(group, "spec"))
    absent(child(group, "spec"), "disruptionMode", "Pod")
    child(group, "status")


def _prepare_create(group: Object) -> None:
    group["status"] = {}


def _policy(group: Object) -> str:
    return "Gang" if (given(spec(group), "schedulingPolicy") or {}).get("gang") is not None else "Basic"


def _workload(group: Object) -> str:
    reference = given(spec(group), "podGroupTemplateRef")
    if reference is None:
        return NONE
    return str((given(reference, "workload") or {}).get("workloadName") or "")


def _state(group: Object) -> str:
    disrupted, scheduled = condition(group, "DisruptionTarget"), condition(group, "PodGroupScheduled")
    if disrupted is not None:
        return str(disrupted.get("reason") or "")
    if scheduled is None:
        return "Pending"
    return "Scheduled" if scheduled.get("status") == "True" else "Unschedulable"


PODGROUPS = Resource(
    group="scheduling.k8s.io",
    version="v1alpha2",
    kind="PodGroup",
    plural="podgroups",
    namespaced=True,
    schema="io.k8s.api.scheduling.v1alpha2.PodGroup",
    gated=(
        *group_fields("spec"),
        Gated(gate="DRAWorkloadResourceClaims", paths=("status.resourceClaimStatuses",)),
    ),
    gate="GenericWorkload",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Policy", _policy),
        column("Workload", _workload),
        column("Status", _state),
        AGE,
    ),
    validate=deferred.check("scheduling.group_validation", "validate_group"),
    validate_update=deferred.update_check("scheduling.group_validation", "validate_group_update"),
    validate_status_update=deferred.update_check("scheduling.group_validation", "validate_group_status"),
)
