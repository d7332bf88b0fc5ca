"""What controllers ask of a pod. Pure. Upstream: pkg/api/v1/pod and pkg/controller/controller_utils.go."""

from __future__ import annotations

from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339
from podium.machinery import meta
from podium.machinery.errors import Object

FINISHED_PHASES = frozenset(("Succeeded", "Failed"))


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def node_name(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def is_finished(pod: Object) -> bool:
    return phase(pod) in FINISHED_PHASES


def is_active(pod: Object) -> bool:
    """Neither finished nor being deleted."""
    return not is_finished(pod) and not meta.deleting(pod)


def is_terminating(pod: Object) -> bool:
    """Being deleted, and not finished yet."""
    return meta.deleting(pod) and not is_finished(pod)


def is_ready(pod: Object) -> bool:
    return meta.condition_true(pod, "Ready")


def ready_since(pod: Object) -> datetime | None:
    """Return since when the pod is ready; None when it is not, or does not say."""
    condition = meta.find_condition(pod, "Ready")
    if condition is None or condition.get("status") != "True" or not condition.get("lastTransitionTime"):
        return None
    return parse_rfc3339(condition["lastTransitionTime"])


def available_in_s(pod: Object, min_ready_s: int, now: datetime) -> float | None:
    """Return in how many seconds the pod will count as available: 0 when it does, None when not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_s:
        return 0.0
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, (since + timedelta(seconds=min_ready_s) - now).total_seconds())


def is_available(pod: Object, min_ready_s: int, now: datetime) -> bool:
    return available_in_s(pod, min_ready_s, now) == 0.0


def restarts(pod: Object) -> int:
    """Return the highest restart count among the containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(status.get("restartCount") or 0) for status in statuses), default=0)


def sidecars(pod: Object) -> frozenset[str]:
    """Return the names of the init containers that go on beside the others."""
    containers = (pod.get("spec") or {}).get("initContainers") or ()
    return frozenset(c["name"] for c in containers if c.get("restartPolicy") == "Always")


def sidecar_restarts(pod: Object) -> int:
    """Return the highest restart count among the sidecars."""
    names = sidecars(pod)
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    return max((int(s.get("restartCount") or 0) for s in statuses if s.get("name") in names), default=0)


def finished_at(pod: Object) -> datetime | None:
    """Return when a pod has ended, as well as can be told: when its last container ended; else since when it
    is not ready; else when it was asked to go; else when it was made."""
    status: Object = pod.get("status") or {}
    ended = _containers_ended_at(pod, status)
    if ended is not None:
        return ended
    ready = meta.find_condition(pod, "Ready")
    if ready is not None and ready.get("status") == "False" and ready.get("lastTransitionTime"):
        return parse_rfc3339(ready["lastTransitionTime"])
    if meta.deleting(pod):
        grace_s = int(meta.metadata(pod).get("deletionGracePeriodSeconds") or 0)
        return parse_rfc3339(meta.metadata(pod)["deletionTimestamp"]) - timedelta(seconds=grace_s)
    return created_at(pod)


def _containers_ended_at(pod: Object, status: Object) -> datetime | None:
    beside = sidecars(pod)
    statuses = [
        *(status.get("containerStatuses") or ()),
        *(s for s in status.get("initContainerStatuses") or () if s.get("name") in beside),
    ]
    ends = [meta.dig(container, "state", "terminated", "finishedAt") for container in statuses]
    return max(map(parse_rfc3339, ends)) if ends and all(ends) else None


def created_at(obj: Object) -> datetime | None:
    text = meta.metadata(obj).get("creationTimestamp")
    return parse_rfc3339(text) if text else None
