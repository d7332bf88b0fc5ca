"""When what endpoints are made from last changed: for measuring how long a change takes to reach every node.

Upstream: staging/src/k8s.io/endpointslice/util/trigger_time_tracker.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from podium.machinery import meta
from podium.machinery.errors import Object

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True, slots=True)
class _Seen:
    service: str
    pods: dict[str, str]


class TriggerTimes:
    """What one controller has seen of each Service. Times are RFC 3339 in whole seconds, and so compare."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def last_change(self, service: Object, pods: Iterable[Object]) -> str:
        """Return the earliest change since the last call; "" when nothing has changed that has a time."""
        key = meta.key(service)
        made = str(meta.metadata(service).get("creationTimestamp") or "")
        before = self._seen.get(key)
        now = _Seen(made, {meta.name(pod): at for pod in pods if (at := _became_ready_or_not(pod))})
        self._seen[key] = now
        if before is None:
            return made
        changed = [at for name, at in now.pods.items() if at > before.pods.get(name, "")]
        if made > before.service:
            changed.append(made)
        return min(changed, default="")

    def forget(self, key: str) -> None:
        self._seen.pop(key, None)


def _became_ready_or_not(pod: Object) -> str:
    return str((meta.find_condition(pod, "Ready") or {}).get("lastTransitionTime") or "")


def noted(obj: Object, changed_at: str) -> Object:
    """Return the object with the time in its annotations, or without any when there is none."""
    new = meta.copy_path(obj, "metadata", "annotations")
    annotations = new["metadata"]["annotations"]
    if changed_at:
        annotations[ANNOTATION] = changed_at
    else:
        annotations.pop(ANNOTATION, None)
    if not annotations:
        del new["metadata"]["annotations"]
    return new
