"""Pods that nobody will end: on nodes that are gone, or deleted before they had a node.

Upstream: pkg/controller/podgc.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.base.clock import Clock, WallClock, rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.node_lifecycle import BY_NODE, node_of_pod
from podium.controllers.taint_eviction import mark_disrupted
from podium.machinery import meta
from podium.machinery.errors import NotFound
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

QUARANTINE_S = 40.0
"""How long a node must be missing: one that is deleted and registers again keeps its pods."""


def pod_gc(clock: Clock | None = None) -> Controller:
    """Return the controller."""
    time = clock or WallClock()
    missing_since_s: dict[str, float] = {}

    def keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
        pod = delta.new
        if pod is None:
            return ()
        node = podlib.node_name(pod)
        if node:
            return (meta.key(pod),) if caches[NODES].get(node) is None else ()
        return (meta.key(pod),) if meta.deleting(pod) else ()

    def keys_of_node(delta: Delta, caches: Caches) -> Iterable[str]:
        name = meta.name(delta.object)
        if delta.new is not None:
            missing_since_s.pop(name, None)
            return ()
        return [meta.key(pod) for pod in caches[PODS].by_index(BY_NODE, name)]

    async def reconcile(context: Context, key: str) -> float | None:
        pod = context.caches[PODS].get(key)
        if pod is None:
            return None
        node = podlib.node_name(pod)
        if not node:
            if meta.deleting(pod):
                await _end(context, key)
            return None
        if context.caches[NODES].get(node) is not None:
            missing_since_s.pop(node, None)
            return None
        since_s = missing_since_s.setdefault(node, time.monotonic_s())
        left_s = since_s + QUARANTINE_S - time.monotonic_s()
        if left_s > 0:
            return left_s
        try:
            await context.client.get(NODES, node)
            return QUARANTINE_S  # it is there; the cache will learn of it
        except NotFound:
            pass
        if not podlib.is_finished(pod):
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": "PodGC: node no longer exists",
                "lastTransitionTime": rfc3339(context.clock.now()),
            }
            try:
                await mark_disrupted(context, pod, condition, phase="Failed")
            except NotFound:
                return None
        await _end(context, key)
        return None

    async def _end(context: Context, key: str) -> None:
        pod = context.caches[PODS].get(key)
        if pod is None:
            return
        try:
            await context.client.delete(
                PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod), grace_period_s=0
            )
        except NotFound:
            return

    return Controller(
        name="pod-garbage-collector-controller",
        service_account="pod-garbage-collector",
        watches=(
            Watch(resource=PODS, keys_of=keys_of_pod, indexes={BY_NODE: node_of_pod}),
            Watch(resource=NODES, keys_of=keys_of_node),
        ),
        reconcile=reconcile,
    )
