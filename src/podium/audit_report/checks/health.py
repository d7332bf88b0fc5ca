"""Whether a cluster can tell that containers work, and how much of a node they take."""

from __future__ import annotations

from collections.abc import Iterator

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import Container, Workload, as_list, as_object, workload_of
from podium.machinery.errors import Object

LIVENESS = Rule(
    id="missing-liveness-probe",
    severity=Severity.LOW,
    title="A container has no liveness probe",
    why="One that hangs without ending is never started again.",
    fix="Add a livenessProbe that asks for little, and fails only when a restart would help.",
)
READINESS = Rule(
    id="missing-readiness-probe",
    severity=Severity.MEDIUM,
    title="A container has no readiness probe",
    why="Services send it requests from its first moment on, and rollouts go on before it works.",
    fix="Add a readinessProbe that succeeds once the container can serve.",
)
REQUESTS = Rule(
    id="missing-requests",
    severity=Severity.MEDIUM,
    title="A container does not say what it needs",
    why="The scheduler takes it for nothing, and puts more on a node than it can bear.",
    fix="Set resources.requests for cpu and memory.",
)
LIMITS = Rule(
    id="missing-limits",
    severity=Severity.MEDIUM,
    title="A container has no limits",
    why="A leak takes the memory, and a loop the processors, of everything else on the node.",
    fix="Set resources.limits for cpu and memory.",
)

_RESOURCES = ("cpu", "memory")


def _check(obj: Object, context: Context) -> Iterator[Problem]:
    workload = workload_of(obj)
    if workload is None:
        return
    defaults = _defaults(workload, context)
    for container in workload.containers():
        if "ephemeralContainers" in container.path:
            continue  # They may have neither.
        yield from _resources(container, as_object(workload.spec.get("resources")), defaults)
        if workload.ends or container.init or "initContainers" in container.path:
            continue
        for rule, field in ((LIVENESS, "livenessProbe"), (READINESS, "readinessProbe")):
            if not as_object(container.spec.get(field)):
                detail = f"container {container.name} has no {field}"
                yield Problem(rule, (*container.path, field), detail)


def _defaults(workload: Workload, context: Context) -> Object:
    """Return what LimitRanges of the namespace fill in, in the form of a container's resources."""
    limits: Object = {}
    requests: Object = {}
    for limit_range in context.all("LimitRange", workload.namespace):
        for one in as_list(as_object(limit_range.get("spec")).get("limits")):
            limit = as_object(one)
            if limit.get("type") == "Container":
                limits |= as_object(limit.get("default"))
                requests |= as_object(limit.get("defaultRequest"))
    return {"limits": limits, "requests": requests}


def _resources(container: Container, pods: Object, defaults: Object) -> Iterator[Problem]:
    sources = (defaults, pods, as_object(container.spec.get("resources")))
    limits = {name: value for one in sources for name, value in as_object(one.get("limits")).items()}
    # Without a request, the limit is one.
    requests = {name: value for one in sources for name, value in as_object(one.get("requests")).items()}
    requests = {**limits, **requests}
    for rule, field, values in ((REQUESTS, "requests", requests), (LIMITS, "limits", limits)):
        missing = [name for name in _RESOURCES if name not in values]
        if missing:
            detail = f"container {container.name} has no {field} for {' and '.join(missing)}"
            yield Problem(rule, (*container.path, "resources", field), detail)


HEALTH = Family(name="Health and resources", rules=(LIVENESS, READINESS, REQUESTS, LIMITS), check=_check)
