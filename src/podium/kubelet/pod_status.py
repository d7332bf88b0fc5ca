"""How a pod's state looks in the API: `status` as upstream's kubelet writes it. Pure.

Conditions carry over their transition times from the status in the API; conditions that others own
(the scheduler's, readiness gates) are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from podium.base.clock import rfc3339
from podium.kubelet.cri.runtime import ContainerStatus
from podium.kubelet.pod_machine import Memory, Observed, is_ready, is_started, should_run
from podium.kubelet.pods import (
    containers,
    ephemeral_containers,
    host_network,
    init_containers,
    is_sidecar,
    ns_time,
    qos_class,
    restart_policy,
)
from podium.machinery.errors import Object

OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why the kubelet itself ended a pod: DeadlineExceeded, ..."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusContext:
    now: datetime
    host_ips: tuple[str, ...]
    failure: Failure | None = None
    stopped: bool = False
    """Everything of the pod has stopped and nothing will start again."""


def pod_status(pod: Object, observed: Observed, memory: Memory, context: StatusContext) -> Object:
    """Return the status that the kubelet owns, complete but for conditions of others."""
    old = pod.get("status") or {}
    inits = init_containers(pod)
    init_statuses = [_container_status(pod, c, observed, memory, context, init=True) for c in inits]
    statuses = [_container_status(pod, c, observed, memory, context) for c in containers(pod)]
    phase = pod_phase(pod, [*init_statuses, *statuses], terminal=context.stopped)
    if context.failure is not None or old.get("phase") == "Failed":
        phase = "Failed"
    elif old.get("phase") == "Succeeded":
        phase = "Succeeded"
    elif context.stopped and phase not in ("Succeeded", "Failed"):
        phase = "Failed"
    if phase in ("Succeeded", "Failed") and observed.running and not context.stopped:
        # Whoever sees a terminal phase may rely on nothing running any more.
        phase = old.get("phase") or "Running"
    status: Object = {"phase": phase}
    generation = pod["metadata"].get("generation")
    if generation:
        status["observedGeneration"] = generation
    if context.failure is not None:
        status |= {"reason": context.failure.reason, "message": context.failure.message}
    elif old.get("reason") and phase == "Failed":
        status |= {"reason": old["reason"], "message": old.get("message", "")}
    status["conditions"] = _conditions(pod, observed, phase, init_statuses, statuses, context)
    status |= _addresses(pod, observed, context)
    status["startTime"] = old.get("startTime") or rfc3339(context.now)
    if init_statuses:
        status["initContainerStatuses"] = init_statuses
    if statuses:
        # By name, as upstream's; init containers stay in their order.
        status["containerStatuses"] = sorted(statuses, key=lambda entry: str(entry["name"]))
    # Ephemeral containers are never ready: they serve nobody but their user.
    ephemeral = [
        {**_container_status(pod, c, observed, memory, context), "ready": False}
        for c in sorted(ephemeral_containers(pod), key=lambda entry: str(entry["name"]))
    ]
    if ephemeral:
        status["ephemeralContainerStatuses"] = ephemeral
    status["qosClass"] = qos_class(pod)
    return status


def _addresses(pod: Object, observed: Observed, context: StatusContext) -> Object:
    old = pod.get("status") or {}
    result: Object = {
        "hostIP": context.host_ips[0] if context.host_ips else "",
        "hostIPs": [{"ip": ip} for ip in context.host_ips],
    }
    ips: Sequence[str] = ()
    if host_network(pod):
        ips = context.host_ips
    elif observed.sandbox is not None and observed.sandbox.ips:
        ips = observed.sandbox.ips
    elif context.stopped or (observed.sandbox is not None and not observed.sandbox.ready):
        ips = [entry["ip"] for entry in old.get("podIPs") or ()]
    if ips:
        result |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    return result


def _container_status(
    pod: Object,
    container: Object,
    observed: Observed,
    memory: Memory,
    context: StatusContext,
    *,
    init: bool = False,
) -> Object:
    name = container["name"]
    attempts = observed.attempts(name)
    latest = attempts[0] if attempts else None
    old = _old_status(pod, name)
    state: Object
    last: Object = {}
    if latest is None:
        state, last = _state_without_attempts(pod, old, context, init=init)
    else:
        state = _state(latest)
        if len(attempts) > 1 and attempts[1].state == "exited":
            last = _state(attempts[1])
    waiting = memory.waiting.get(name)
    if waiting is not None and not context.stopped and "running" not in state:
        restarts = latest is None or should_run(pod, container, latest)
        if restarts:
            if "terminated" in state:
                last = state
            state = {"waiting": _without_empty(reason=waiting.reason, message=waiting.message)}
    started = latest is not None and is_started(container, latest, memory)
    if init and not is_sidecar(container):
        ready = "terminated" in state and state["terminated"]["exitCode"] == 0
    else:
        ready = latest is not None and is_ready(container, latest, memory)
    status: Object = {
        "name": name,
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": latest.attempt if latest is not None else int(old.get("restartCount") or 0),
        "image": latest.image if latest is not None and latest.image else container.get("image", ""),
        "imageID": latest.image_ref if latest is not None else "",
        "started": started,
    }
    if latest is not None:
        status["containerID"] = f"containerd://{latest.id}"
    resources = container.get("resources") or {}
    if resources.get("requests"):
        status["allocatedResources"] = resources["requests"]
    status["resources"] = {key: value for key, value in resources.items() if key in ("limits", "requests")}
    if container.get("volumeMounts"):
        status["volumeMounts"] = [_mount_status(mount) for mount in container["volumeMounts"]]
    return status


def _state_without_attempts(
    pod: Object, old: Object, context: StatusContext, *, init: bool
) -> tuple[Object, Object]:
    """Return state and lastState of a container that the runtime does not have."""
    old_state = old.get("state") or {}
    if "terminated" in old_state:
        return old_state, old.get("lastState") or {}
    if context.stopped or "running" in old_state:
        gone: Object = {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
                "startedAt": None,
                "finishedAt": None,
            }
        }
        if context.stopped:
            return gone, old.get("lastState") or {}
        return {"waiting": {"reason": "ContainerCreating"}}, gone
    reason = "PodInitializing" if init_containers(pod) else "ContainerCreating"
    return {"waiting": {"reason": reason}}, old.get("lastState") or {}


def _old_status(pod: Object, name: str) -> Object:
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status.get(field) or ():
            if entry["name"] == name:
                found: Object = entry
                return found
    return {}


def _state(status: ContainerStatus) -> Object:
    if status.state == "running":
        return {"running": {"startedAt": rfc3339(ns_time(status.started_at_ns))}}
    if status.state == "exited":
        return {
            "terminated": _without_empty(
                reason=status.reason or ("Completed" if status.exit_code == 0 else "Error"),
                message=status.message,
            )
            | {
                "exitCode": status.exit_code,
                "startedAt": rfc3339(ns_time(status.started_at_ns)) if status.started_at_ns else None,
                "finishedAt": rfc3339(ns_time(status.finished_at_ns)) if status.finished_at_ns else None,
                "containerID": f"containerd://{status.id}",
            }
        }
    return {"waiting": {"reason": "ContainerCreating"}}


def _mount_status(mount: Object) -> Object:
    status: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        status |= {"readOnly": True, "recursiveReadOnly": mount.get("recursiveReadOnly") or "Disabled"}
    return status


def _without_empty(**fields: str) -> Object:
    return {key: value for key, value in fields.items() if value}


def pod_phase(pod: Object, statuses: Sequence[Object], *, terminal: bool) -> str:
    """Return the phase that container statuses mean (upstream's getPhase)."""
    by_name = {status["name"]: status for status in statuses}
    policy = restart_policy(pod)
    pending_init = pending_sidecars = failed_init = 0
    unknown = running = waiting = stopped = succeeded = 0
    initialised = any(_has_started(by_name.get(c["name"])) for c in containers(pod))
    for container in init_containers(pod):
        status = by_name.get(container["name"])
        state = (status or {}).get("state") or {}
        last = ((status or {}).get("lastState") or {}).get("terminated")
        if is_sidecar(container):
            if "running" in state:
                running += 1
                pending_sidecars += not (status or {}).get("started")
            elif "terminated" not in state and last is None:
                pending_sidecars += 1
                waiting += 1
        elif "terminated" in state:
            failed_init += state["terminated"]["exitCode"] != 0
        elif "waiting" in state and last is not None:
            failed_init += last["exitCode"] != 0
        else:
            pending_init += 1
    for container in containers(pod):
        status = by_name.get(container["name"])
        state = (status or {}).get("state") or {}
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            succeeded += state["terminated"]["exitCode"] == 0
        elif "waiting" in state:
            if ((status or {}).get("lastState") or {}).get("terminated") is not None:
                stopped += 1
            else:
                waiting += 1
        else:
            unknown += 1
    if failed_init and policy == "Never":
        return "Failed"
    if pending_init or (pending_sidecars and not initialised) or (waiting and not terminal):
        return "Pending"
    if failed_init and not initialised:
        # A failed init container that is tried again keeps the pod pending.
        return "Pending"
    if running and not unknown:
        return "Running"
    if stopped and not unknown:
        if terminal:
            return "Succeeded" if stopped == succeeded else "Failed"
        if policy == "Always":
            return "Running"
        if stopped == succeeded:
            return "Succeeded"
        return "Failed" if policy == "Never" else "Running"
    return "Pending"


def _has_started(status: Object | None) -> bool:
    state = (status or {}).get("state") or {}
    last = (status or {}).get("lastState") or {}
    return "running" in state or "terminated" in state or "terminated" in last


def _conditions(
    pod: Object,
    observed: Observed,
    phase: str,
    init_statuses: Sequence[Object],
    statuses: Sequence[Object],
    context: StatusContext,
) -> list[Object]:
    sandbox = observed.sandbox
    can_start = sandbox is not None and sandbox.ready and (bool(sandbox.ips) or host_network(pod))
    containers_ready = _containers_ready(pod, phase, init_statuses, statuses)
    wanted = [
        _condition("PodReadyToStartContainers", can_start),
        _initialized(pod, phase, init_statuses, statuses),
        _ready(pod, containers_ready),
        containers_ready,
        _condition("PodScheduled", True),
    ]
    old = {entry["type"]: entry for entry in (pod.get("status") or {}).get("conditions") or ()}
    generation = pod["metadata"].get("generation")
    return [_dated(condition, old.get(condition["type"]), context.now, generation) for condition in wanted]


def _condition(type: str, true: bool, reason: str = "", message: str = "") -> Object:
    return {"type": type, "status": "True" if true else "False"} | _without_empty(
        reason=reason, message=message
    )


def _dated(new: Object, old: Object | None, now: datetime, generation: int | None) -> Object:
    unchanged = old is not None and old.get("status") == new["status"]
    moment = old.get("lastTransitionTime") if old is not None and unchanged else None
    dated = {**new, "lastProbeTime": None, "lastTransitionTime": moment or rfc3339(now)}
    if generation:
        dated["observedGeneration"] = generation
    return dated


def _initialized(
    pod: Object, phase: str, init_statuses: Sequence[Object], statuses: Sequence[Object]
) -> Object:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    if any(_has_started(status) for status in statuses):
        return _condition("Initialized", True)
    by_name = {status["name"]: status for status in init_statuses}
    incomplete = []
    for container in init_containers(pod):
        status = by_name[container["name"]]
        done = status["started"] if is_sidecar(container) else status["ready"]
        if not done:
            incomplete.append(container["name"])
    if not incomplete:
        return _condition("Initialized", True)
    message = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", message)


def _containers_ready(
    pod: Object, phase: str, init_statuses: Sequence[Object], statuses: Sequence[Object]
) -> Object:
    if phase == "Succeeded":
        return _condition("ContainersReady", False, "PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", False, "PodFailed")
    ready = {status["name"]: bool(status["ready"]) for status in [*init_statuses, *statuses]}
    watched = [c["name"] for c in init_containers(pod) if is_sidecar(c)]
    watched += [c["name"] for c in containers(pod)]
    unready = [name for name in watched if not ready.get(name)]
    if not unready:
        return _condition("ContainersReady", True)
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _condition("ContainersReady", False, "ContainersNotReady", message)


def _ready(pod: Object, containers_ready: Object) -> Object:
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    held = {c["type"]: c["status"] for c in (pod.get("status") or {}).get("conditions") or ()}
    messages = []
    for gate in pod["spec"].get("readinessGates") or ():
        type = gate["conditionType"]
        if type not in held:
            messages.append(f'corresponding condition of pod readiness gate "{type}" does not exist.')
        elif held[type] != "True":
            messages.append(f'the status of pod readiness gate "{type}" is not "True", but {held[type]}')
    if messages:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(messages))
    return _condition("Ready", True)
