"""Nodes that fall silent: their conditions become Unknown, they are tainted, their pods count as not ready.

A node speaks by renewing its Lease and by posting its status. How long it has been silent is measured on our
own clock from when we last saw it change, so clocks need not agree. `plan` decides from that. How fast nodes
get the taint that evicts is a matter of their zone (node_zones.py); eviction itself is `taint_eviction`'s.
Upstream: pkg/controller/nodelifecycle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from podium.base.clock import Clock, WallClock, rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.figures import NodeMetrics
from podium.controllers.node_zones import EvictionRates, Turns, rate_for, zone_of
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

LEASE_NAMESPACE = "kube-node-lease"
STARTUP_GRACE_S = 60.0
"""How long a new node may take to post its first status."""
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
BY_NODE = "node"
_WATCHED_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_TAINT_OF_CONDITION = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_OUR_NO_SCHEDULE = frozenset((NOT_READY, UNREACHABLE, _UNSCHEDULABLE, *_TAINT_OF_CONDITION.values()))
_OUR_NO_EXECUTE = frozenset((NOT_READY, UNREACHABLE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    conditions: list[Object] | None
    """The conditions to write, None to leave them."""
    taints: list[Object] | None
    """The taints to write, None to leave them."""
    ready: str
    """The status of the Ready condition as it is after this."""


def plan(node: Object, *, silent: bool, evict: bool, now: datetime) -> Plan:
    """Decide about one node. `silent`: it has not been heard of for too long. `evict`: NoExecute taints may
    be set (not while every node of the cluster is in trouble: then the trouble is more likely ours)."""
    before = list((node.get("status") or {}).get("conditions") or ())
    conditions = _silenced(node, before, now) if silent else before
    status = {str(c.get("type")): str(c.get("status")) for c in conditions}
    old_taints = list((node.get("spec") or {}).get("taints") or ())
    taints = _taints(node, old_taints, status, evict=evict, now=now)
    return Plan(
        conditions=conditions if conditions != before else None,
        taints=taints if taints != old_taints else None,
        ready=status.get("Ready") or "Unknown",
    )


def _silenced(node: Object, conditions: Sequence[Object], now: datetime) -> list[Object]:
    result = list(conditions)
    for type_ in _WATCHED_CONDITIONS:
        index = next((i for i, c in enumerate(result) if c.get("type") == type_), None)
        if index is None:
            result.append(
                {
                    "type": type_,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": meta.metadata(node).get("creationTimestamp"),
                    "lastTransitionTime": rfc3339(now),
                }
            )
        elif result[index].get("status") != "Unknown":
            result[index] = {
                **result[index],
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": rfc3339(now),
            }
    return result


def _taints(
    node: Object, old: Sequence[Object], status: dict[str, str], *, evict: bool, now: datetime
) -> list[Object]:
    """Return the node's taints: ours as the conditions want them, the others as they are."""
    no_schedule = [taint for type_, taint in _TAINT_OF_CONDITION.items() if status.get(type_) == "True"]
    no_execute = []
    trouble = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(status.get("Ready", ""))
    if trouble is not None:
        no_schedule.append(trouble)
        if evict:
            no_execute.append(trouble)
    if (node.get("spec") or {}).get("unschedulable"):
        no_schedule.append(_UNSCHEDULABLE)
    wanted = [(key, "NoSchedule") for key in no_schedule] + [(key, "NoExecute") for key in no_execute]
    result = []
    for taint in old:
        identity = (taint.get("key"), taint.get("effect"))
        ours = (identity[1] == "NoSchedule" and identity[0] in _OUR_NO_SCHEDULE) or (
            identity[1] == "NoExecute" and identity[0] in _OUR_NO_EXECUTE
        )
        if not ours or identity in wanted:
            result.append(taint)
    present = {(taint.get("key"), taint.get("effect")) for taint in result}
    at = rfc3339(now)
    result += [{"key": k, "effect": e, "timeAdded": at} for k, e in wanted if (k, e) not in present]
    return result


class _Heard:
    """When each node was last heard of, on our clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._stamps: dict[tuple[str, str], str] = {}

    def observe(self, node: str, source: str, stamp: str) -> None:
        """Take note of what `source` (lease, status) says now; a changed stamp is a sign of life."""
        if self._stamps.get((node, source)) != stamp:
            self._stamps[node, source] = stamp
            self._last[node] = self._clock.monotonic_s()

    def forget(self, node: str) -> None:
        self._last.pop(node, None)
        for source in ("lease", "status"):
            self._stamps.pop((node, source), None)

    def silent_s(self, node: str) -> float:
        return self._clock.monotonic_s() - self._last.setdefault(node, self._clock.monotonic_s())


def _ready(node: Object) -> str:
    condition = meta.find_condition(node, "Ready")
    return str(condition.get("status")) if condition is not None else ""


def _in_trouble(node: Object, *, silent: bool) -> bool:
    return silent or _ready(node) in ("False", "Unknown")


def _evicts_already(node: Object) -> bool:
    taints = meta.dig(node, "spec", "taints", default=())
    return any(t.get("effect") == "NoExecute" and t.get("key") in _OUR_NO_EXECUTE for t in taints)


def node_lifecycle(
    grace_s: float,
    clock: Clock | None = None,
    *,
    rates: EvictionRates | None = None,
    startup_grace_s: float = STARTUP_GRACE_S,
) -> Controller:
    """Return the controller; nodes silent for `grace_s` count as unreachable, new ones may take longer."""
    heard = _Heard(clock or WallClock())
    turns = Turns()
    speed = rates or EvictionRates()
    known: set[str] = set()
    gone: dict[str, Object] = {}
    """Nodes that have been deleted, until that has been told."""

    def keys_of_node(delta: Delta, caches: Caches) -> Iterable[str]:
        name = meta.name(delta.object)
        if delta.new is None:
            heard.forget(name)
            gone[name] = delta.object
            return {name, *_others(caches)}
        condition = meta.find_condition(delta.new, "Ready") or {}
        heard.observe(name, "status", str(condition.get("lastHeartbeatTime")))
        if delta.old is not None and _ready(delta.old) != _ready(delta.new):
            # The first node to be ready again, or the last to fail, changes whether others may be evicted.
            return {name, *_others(caches)}
        return (name,)

    def _others(caches: Caches) -> Iterable[str]:
        return [meta.name(node) for node in caches[NODES].list() if _ready(node) != "True"]

    def keys_of_lease(delta: Delta, caches: Caches) -> Iterable[str]:
        name = meta.name(delta.object)
        if delta.new is None:
            return ()
        heard.observe(name, "lease", str((delta.new.get("spec") or {}).get("renewTime")))
        return ()  # a sign of life only moves the deadline, which is looked at when it comes

    def keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
        """A pod that says it is ready on a node that is not heard of."""
        name = podlib.node_name(delta.object)
        node = caches[NODES].get(name) if name else None
        if node is None or delta.new is None or _ready(node) != "Unknown" or not podlib.is_ready(delta.new):
            return ()
        return (name,)

    async def reconcile(context: Context, key: str) -> float | None:
        node = context.caches[NODES].get(key)
        left = gone.pop(key, None)
        if left is not None:
            known.discard(key)
            _tell(context, left, "RemovingNode", f"Node {key} event: Removing Node {key} from Controller")
        if node is None or meta.deleting(node):
            return None
        if key not in known:
            known.add(key)
            _tell(context, node, "RegisteredNode", f"Node {key} event: Registered Node {key} in Controller")
        limit_s = grace_s if _ready(node) else startup_grace_s
        silent_s = heard.silent_s(key)
        nodes = context.caches[NODES].list()
        # Some node must be well, and not merely not yet found out to be silent as well.
        evict = any(_ready(n) == "True" and heard.silent_s(meta.name(n)) < grace_s for n in nodes)
        silent = silent_s >= limit_s
        turn_s = 0.0
        if evict and _in_trouble(node, silent=silent) and not _evicts_already(node):
            rate = rate_for(node, nodes, speed)
            turn_s = turns.take(zone_of(node), rate, context.clock.monotonic_s())
            evict = turn_s == 0.0
            if evict:
                context.metrics.of(NodeMetrics).evictions.labels(zone_of(node)).inc()
        now = context.clock.now()
        decided = plan(node, silent=silent, evict=evict, now=now)
        turned = _ready(node) == "True" and decided.ready != "True"
        if decided.conditions is not None:
            new = meta.copy_path(node, "status")
            new["status"]["conditions"] = decided.conditions
            node = await context.client.update(NODES, new, subresource="status")
        if decided.taints is not None:
            patch = {
                "metadata": {"resourceVersion": meta.metadata(node)["resourceVersion"]},
                "spec": {"taints": decided.taints or None},
            }
            await context.client.patch(NODES, key, patch)
        if turned:
            _tell(context, node, "NodeNotReady", f"Node {key} status is now: NodeNotReady")
        if decided.ready == "Unknown":
            await _mark_pods_not_ready(context, key, now)
        # Without a turn in sight, the next change of a node's readiness brings another look.
        waits = [wait_s for wait_s in (limit_s - silent_s, turn_s) if 0 < wait_s < math.inf]
        return max(0.05, min(waits)) if waits else None

    async def measured(context: Context, key: str) -> float | None:
        began_s = context.clock.monotonic_s()
        try:
            return await reconcile(context, key)
        finally:
            context.metrics.of(NodeMetrics).update.observe(context.clock.monotonic_s() - began_s)

    return Controller(
        name="node-lifecycle-controller",
        component="node-controller",
        service_account="node-controller",
        watches=(
            Watch(resource=NODES, keys_of=keys_of_node),
            Watch(resource=LEASES, keys_of=keys_of_lease, namespace=LEASE_NAMESPACE),
            Watch(resource=PODS, keys_of=keys_of_pod, indexes={BY_NODE: node_of_pod}),
        ),
        reconcile=measured,
        on_start=lambda context: context.metrics.of(NodeMetrics).follow(context),
    )


def _tell(context: Context, node: Object, reason: str, message: str) -> None:
    context.recorder.event({**node, "apiVersion": "v1", "kind": "Node"}, "Normal", reason, message)


async def _mark_pods_not_ready(context: Context, node: str, now: datetime) -> None:
    for pod in context.caches[PODS].by_index(BY_NODE, node):
        if not podlib.is_ready(pod):
            continue
        status = pod["status"]
        conditions = [
            {**c, "status": "False", "lastTransitionTime": rfc3339(now)} if c.get("type") == "Ready" else c
            for c in status["conditions"]
        ]
        try:
            await context.client.update(
                PODS, {**pod, "status": {**status, "conditions": conditions}}, subresource="status"
            )
        except NotFound:
            continue
        context.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def node_of_pod(pod: Object) -> Iterable[str]:
    """The index function of `BY_NODE`."""
    name = podlib.node_name(pod)
    return (name,) if name else ()
