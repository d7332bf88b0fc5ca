"""Pods leave nodes with NoExecute taints, unless they tolerate them, or once they have tolerated them enough.

Upstream: pkg/controller/tainteviction. There the time of tolerating begins when the controller notices the
taint; here with the taint's timeAdded, so a restart of the controller does not begin it anew. A taint without
one (kubectl sets none) counts from when it was noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.common.tolerations import tolerates
from podium.controllers.figures import TaintEvictionMetrics
from podium.controllers.node_lifecycle import BY_NODE, node_of_pod
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta


def evict_at(pod: Object, taints: Sequence[Object], now: datetime) -> datetime | None:
    """Return when the pod has to leave a node with these NoExecute taints; None: it may stay."""
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    leave: list[datetime] = []
    for taint in taints:
        added = parse_rfc3339(taint["timeAdded"]) if taint.get("timeAdded") else now
        fitting = [t for t in tolerations if tolerates(t, taint)]
        if not fitting:
            return now
        limits = [int(t["tolerationSeconds"]) for t in fitting if t.get("tolerationSeconds") is not None]
        if limits:
            leave.append(added + timedelta(seconds=max(0, min(limits))))
    return min(leave, default=None)


def _no_execute(node: Object | None) -> list[Object]:
    taints = ((node or {}).get("spec") or {}).get("taints") or ()
    return [taint for taint in taints if taint.get("effect") == "NoExecute"]


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    pod = delta.new
    if pod is None or not podlib.node_name(pod) or meta.deleting(pod):
        return ()
    return (meta.key(pod),) if _no_execute(caches[NODES].get(podlib.node_name(pod))) else ()


def _keys_of_node(delta: Delta, caches: Caches) -> Iterable[str]:
    if delta.new is None or _no_execute(delta.old) == _no_execute(delta.new):
        return ()
    return [meta.key(pod) for pod in caches[PODS].by_index(BY_NODE, meta.name(delta.new))]


class Noticed:
    """When taints without timeAdded were first seen."""

    def __init__(self) -> None:
        self._since: dict[str, dict[tuple[str, str], str]] = {}

    def dated(self, node: str, taints: Sequence[Object], now: datetime) -> list[Object]:
        """Return the taints, each with a time; those that the node has no longer are forgotten."""
        before = self._since.pop(node, {})
        result, since = [], {}
        for taint in taints:
            if not taint.get("timeAdded"):
                identity = (taint["key"], taint.get("value") or "")
                since[identity] = before.get(identity) or rfc3339(now)
                taint = {**taint, "timeAdded": since[identity]}  # noqa: PLW2901
            result.append(taint)
        if since:
            self._since[node] = since
        return result


async def _reconcile(context: Context, key: str, noticed: Noticed, waiting: set[str]) -> float | None:
    """`waiting` are the pods that will have to leave, unless something changes before."""
    pod = context.caches[PODS].get(key)
    if pod is None or meta.deleting(pod):
        _stays(context, key, waiting)
        return None
    node, now = podlib.node_name(pod), context.clock.now()
    taints = noticed.dated(node, _no_execute(context.caches[NODES].get(node)), now)
    leave = evict_at(pod, taints, now) if taints else None
    if leave is None:
        _stays(context, key, waiting)
        return None
    if leave > now:
        waiting.add(key)
        return (leave - now).total_seconds()
    waiting.discard(key)
    context.recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": rfc3339(now),
    }
    try:
        await mark_disrupted(context, pod, condition)
        await context.client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
        metrics = context.metrics.of(TaintEvictionMetrics)
        metrics.deletions.inc()
        metrics.late.observe((context.clock.now() - leave).total_seconds())
    except NotFound:
        return None
    return None


def _stays(context: Context, key: str, waiting: set[str]) -> None:
    """Say so when a pod does not have to leave any more, be it that it is gone already."""
    if key in waiting:
        waiting.discard(key)
        namespace, name = meta.split_key(key)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}}
        context.recorder.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}")


async def mark_disrupted(context: Context, pod: Object, condition: Object | None, **status: object) -> None:
    """Add a condition (DisruptionTarget), and other parts of status: so one can see why the pod went.

    Other conditions may be being written by the node; the patch leaves them alone.
    """
    generation = meta.metadata(pod).get("generation")
    seen = {"observedGeneration": generation} if generation else {}
    conditions = {"conditions": [{**condition, **seen}]} if condition is not None else {}
    patch = {
        "metadata": {"uid": meta.uid(pod)},
        "status": {**status, **(seen if status else {}), **conditions},
    }
    await context.client.patch(
        PODS, meta.name(pod), patch, meta.namespace(pod), subresource="status", type="strategic"
    )


def taint_eviction() -> Controller:
    """Return the controller; it remembers which taints it has seen since when."""
    noticed = Noticed()
    waiting: set[str] = set()

    async def reconcile(context: Context, key: str) -> float | None:
        return await _reconcile(context, key, noticed, waiting)

    def keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
        key = meta.key(delta.object)
        return (key,) if key in waiting else _keys_of_pod(delta, caches)

    return Controller(
        name="taint-eviction-controller",
        service_account="node-controller",
        watches=(
            Watch(resource=PODS, keys_of=keys_of_pod, indexes={BY_NODE: node_of_pod}),
            Watch(resource=NODES, keys_of=_keys_of_node),
        ),
        reconcile=reconcile,
    )
