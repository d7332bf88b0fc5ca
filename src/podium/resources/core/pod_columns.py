"""The columns of pods, above all STATUS: one word for what the containers of a pod are doing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from podium.base.clock import parse_rfc3339
from podium.machinery.errors import Json, Object
from podium.machinery.table import duration
from podium.resources.defaulting import given, items
from podium.resources.printing import (
    AGE,
    NAME,
    NONE,
    column,
    condition_true,
    count,
    deleting,
    spec,
    status,
    timed,
)

_TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the first columns say of a pod."""

    ready: int
    total: int
    reason: str
    restarts: int
    restarted_at: datetime | None


@dataclass(slots=True)
class _Restarts:
    count: int = 0
    last: datetime | None = None

    def add(self, container: Object) -> None:
        self.count += count(container.get("restartCount"))
        finished = (given(given(container, "lastState") or {}, "terminated") or {}).get("finishedAt")
        if finished:
            moment = parse_rfc3339(str(finished))
            if self.last is None or moment > self.last:
                self.last = moment


def summary(pod: Object) -> Summary:
    """Return what the containers' statuses come to, in upstream's order of precedence."""
    pod_status = status(pod)
    phase = str(pod_status.get("phase") or "")
    reason = str(pod_status.get("reason") or phase)
    for condition in items(pod_status, "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    init_containers = list(items(spec(pod), "initContainers"))
    sidecars = {c.get("name") for c in init_containers if c.get("restartPolicy") == "Always"}
    total = len(list(items(spec(pod), "containers"))) + len(sidecars)

    ready = 0
    restarts, sidecar_restarts = _Restarts(), _Restarts()
    init_reason = ""
    for index, container in enumerate(items(pod_status, "initContainerStatuses")):
        sidecar = container.get("name") in sidecars
        restarts.add(container)
        if sidecar:
            sidecar_restarts.add(container)
        terminated = given(given(container, "state") or {}, "terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        init_reason = _init_reason(container, index, len(init_containers))
        break

    reason = init_reason or reason
    if not init_reason or condition_true(pod, "Initialized"):
        restarts = sidecar_restarts
        containers = list(items(pod_status, "containerStatuses"))
        for container in containers:
            restarts.add(container)
        ready += sum(_running(container) for container in containers)
        reason = _containers_reason(pod, containers, reason)
    if deleting(pod):
        if pod_status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in _TERMINAL:
            reason = "Terminating"
    return Summary(
        ready=ready, total=total, reason=reason, restarts=restarts.count, restarted_at=restarts.last
    )


def _init_reason(container: Object, index: int, total: int) -> str:
    """Return how an init container that has not succeeded shows."""
    state = given(container, "state") or {}
    terminated = given(state, "terminated")
    if terminated is not None:
        return "Init:" + _terminated_reason(terminated)
    waiting = str((given(state, "waiting") or {}).get("reason") or "")
    if waiting and waiting != "PodInitializing":
        return f"Init:{waiting}"
    return f"Init:{index}/{total}"


def _terminated_reason(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{count(terminated.get('exitCode'))}"


def _running(container: Object) -> bool:
    """Say whether a container counts as ready: it is, it runs, and nothing else is said of it."""
    state = given(container, "state") or {}
    if (given(state, "waiting") or {}).get("reason") or given(state, "terminated") is not None:
        return False
    return bool(container.get("ready")) and given(state, "running") is not None


def _containers_reason(pod: Object, containers: list[Object], reason: str) -> str:
    """Return what the containers say; the first one that has something to say is heard."""
    error = ""
    for container in reversed(containers):
        state = given(container, "state") or {}
        waiting = str((given(state, "waiting") or {}).get("reason") or "")
        terminated = given(state, "terminated")
        if waiting:
            reason = waiting
        elif terminated is not None:
            reason = _terminated_reason(terminated)
            if terminated.get("exitCode"):
                error = reason
    if reason == "Completed":
        running = any(_running(container) for container in containers)
        if running and condition_true(pod, "Ready"):
            return "Running"
        if error:
            return error
        if running:
            return "NotReady"
    return reason


def _ready(pod: Object) -> Json:
    found = summary(pod)
    return f"{found.ready}/{found.total}"


def _restarts(pod: Object, now: datetime) -> Json:
    found = summary(pod)
    if not found.restarts or found.restarted_at is None:
        return str(found.restarts)
    return f"{found.restarts} ({duration((now - found.restarted_at).total_seconds())} ago)"


def _ip(pod: Object) -> Json:
    first: Iterable[Object] = items(status(pod), "podIPs")
    return next((ip.get("ip") for ip in first), None) or NONE


def _readiness_gates(pod: Object) -> Json:
    gates = list(items(spec(pod), "readinessGates"))
    if not gates:
        return NONE
    true = sum(condition_true(pod, str(gate.get("conditionType"))) for gate in gates)
    return f"{true}/{len(gates)}"


_COMPLETED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def row_conditions(pod: Object) -> list[Object]:
    """Return the condition by which clients tell rows of pods that are done."""
    phase = str(status(pod).get("phase") or "")
    if phase not in _COMPLETED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _COMPLETED[phase]}]


COLUMNS = (
    NAME,
    column("Ready", _ready, description="Containers that are ready, of all"),
    column("Status", lambda pod: summary(pod).reason, description="What the containers are doing"),
    timed("Restarts", _restarts, description="Restarts of containers and when the last one was"),
    AGE,
    column("IP", _ip, description="Address of the pod", wide=True),
    column("Node", lambda pod: spec(pod).get("nodeName") or NONE, description="Where it runs", wide=True),
    column(
        "Nominated Node",
        lambda pod: status(pod).get("nominatedNodeName") or NONE,
        description="Where room is being made for it",
        wide=True,
    ),
    column("Readiness Gates", _readiness_gates, description="Gates that are open, of all", wide=True),
)
