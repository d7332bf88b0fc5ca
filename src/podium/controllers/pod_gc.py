"""Pods that nobody will end: on nodes that are gone or out of service, or deleted before they had a node; and
pods that have ended, when there are very many.

Upstream: pkg/controller/podgc.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from podium.base.clock import Clock, WallClock, rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.common.pod_control import in_parallel
from podium.controllers.figures import PodGcMetrics
from podium.controllers.node_lifecycle import BY_NODE, node_of_pod
from podium.controllers.taint_eviction import mark_disrupted
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

QUARANTINE_S = 40.0
"""How long a node must be missing: one that is deleted and registers again keeps its pods."""
ENDED_MAX = 12_500
"""How many pods that have ended are kept."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_ENDED = "ended"
"""The index of pods that have ended, its only value, and the key of the look at their number."""


def pod_gc(clock: Clock | None = None, *, ended_max: int = ENDED_MAX) -> Controller:
    """Return the controller. `ended_max`: how many ended pods are kept, 0 for all."""
    quarantine = _Quarantine(clock or WallClock())

    async def reconcile(context: Context, key: str) -> float | None:
        if key == _ENDED:
            await _end_surplus(context, ended_max)
            return None
        pod = context.caches[PODS].get(key)
        if pod is None:
            return None
        name = podlib.node_name(pod)
        node = context.caches[NODES].get(name)
        if node is not None:
            quarantine.over(name)
        if not name or node is not None:
            if is_abandoned(pod, node):
                await _end(context, pod, "out-of-service" if name else "unscheduled")
            return None
        return await _end_orphan(context, pod, name, quarantine)

    def keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
        pod = delta.new
        if pod is None:
            return ()
        keys = [_ENDED] if ended_max and has_ended(pod) else []
        node = caches[NODES].get(podlib.node_name(pod))
        if is_abandoned(pod, node) or (podlib.node_name(pod) and node is None):
            keys.append(meta.key(pod))
        return keys

    def keys_of_node(delta: Delta, caches: Caches) -> Iterable[str]:
        name = meta.name(delta.object)
        pods = caches[PODS].by_index(BY_NODE, name)
        if delta.new is None:
            return [meta.key(pod) for pod in pods]
        quarantine.over(name)
        return [meta.key(pod) for pod in pods if is_abandoned(pod, delta.new)]

    return Controller(
        name="pod-garbage-collector-controller",
        service_account="pod-garbage-collector",
        watches=(
            Watch(
                resource=PODS, keys_of=keys_of_pod, indexes={BY_NODE: node_of_pod, _ENDED: _index_of_ended}
            ),
            Watch(resource=NODES, keys_of=keys_of_node),
        ),
        reconcile=reconcile,
    )


class _Quarantine:
    """Since when nodes are missing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s: dict[str, float] = {}

    def left_s(self, node: str) -> float:
        """Return how long a missing node will be waited for."""
        now_s = self._clock.monotonic_s()
        return self._since_s.setdefault(node, now_s) + QUARANTINE_S - now_s

    def over(self, node: str) -> None:
        self._since_s.pop(node, None)


def is_abandoned(pod: Object, node: Object | None) -> bool:
    """Whether a pod is being deleted and nobody is there to end it. `node` is its node."""
    if not meta.deleting(pod):
        return False
    if not podlib.node_name(pod):
        return True
    if node is None or meta.condition_true(node, "Ready"):
        return False
    taints = (node.get("spec") or {}).get("taints") or ()
    return any(taint.get("key") == OUT_OF_SERVICE for taint in taints)


def has_ended(pod: Object) -> bool:
    return podlib.phase(pod) not in ("Pending", "Running", "Unknown")


def surplus(ended: Sequence[Object], ended_max: int) -> list[Object]:
    """Return the pods beyond `ended_max`: evicted ones, on which no controller counts, then the oldest."""

    def order(pod: Object) -> tuple[bool, str, str]:
        status = pod.get("status") or {}
        evicted = status.get("phase") == "Failed" and status.get("reason") == "Evicted"
        return not evicted, str(meta.metadata(pod).get("creationTimestamp") or ""), meta.name(pod)

    return sorted(ended, key=order)[: max(0, len(ended) - ended_max)]


def _index_of_ended(pod: Object) -> Iterable[str]:
    return (_ENDED,) if has_ended(pod) else ()


async def _end_surplus(context: Context, ended_max: int) -> None:
    async def end(pod: Object) -> None:
        await _end(context, pod, "terminated")

    error = await in_parallel(surplus(context.caches[PODS].by_index(_ENDED, _ENDED), ended_max), end)
    if error is not None:
        raise error


async def _end_orphan(context: Context, pod: Object, node: str, quarantine: _Quarantine) -> float | None:
    left_s = quarantine.left_s(node)
    if left_s > 0:
        return left_s
    try:
        await context.client.get(NODES, node)
        return QUARANTINE_S  # it is there; the cache will learn of it
    except NotFound:
        pass
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
        "lastTransitionTime": rfc3339(context.clock.now()),
    }
    await _end(context, pod, "orphaned", condition)
    return None


async def _end(context: Context, pod: Object, why: str, condition: Object | None = None) -> None:
    """Say that the pod has failed, unless it has ended, and delete it at once."""
    metrics, labels = context.metrics.of(PodGcMetrics), (meta.namespace(pod), why)
    metrics.deletions.labels(*labels).inc()
    try:
        if not podlib.is_finished(pod):
            await mark_disrupted(context, pod, condition, phase="Failed")
        await context.client.delete(
            PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod), grace_period_s=0
        )
    except NotFound:
        return
    except ApiError:
        metrics.errors.labels(*labels).inc()
        raise
