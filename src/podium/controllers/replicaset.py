"""ReplicaSets and ReplicationControllers: as many pods as asked for, all made from one template.

`plan` decides which pods to make and delete and what the status is; `_reconcile` carries it out. The two
resources differ in the form of their selector and in names only. Upstream: pkg/controller/replicaset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from podium.base.clock import rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.deletion_order import ranked
from podium.controllers.common.pod_control import (
    BURST_MAX,
    create_pod,
    delete_pod,
    in_parallel,
    pod_from_template,
    slow_start,
)
from podium.controllers.common.status import condition_of, drop_condition, without_zeros
from podium.controllers.figures import ReplicaSetMetrics
from podium.machinery import labels, meta
from podium.machinery.errors import ApiError, Object
from podium.machinery.labels import Selector
from podium.machinery.resource import Resource
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.resources.core.replicationcontrollers import REPLICATIONCONTROLLERS
from podium.runtime.controller import (
    Caches,
    Context,
    Controller,
    KeysOf,
    Watch,
    namespace_is_terminating,
    own_key,
)
from podium.runtime.informer import Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one look at a ReplicaSet leads to."""

    create: int
    """How many pods to make."""
    delete: tuple[Object, ...]
    """The pods to delete, first the one to be missed least."""
    again_s: float | None
    """When a ready pod will become available merely by time passing."""


def plan(replica_set: Object, owned: Sequence[Object], ranks: Mapping[str, int], now: datetime) -> Plan:
    """Decide which pods to make or delete. `owned` are the pods that are ours; `ranks` say how many sibling
    pods share each node (only looked at when pods have to go)."""
    active = [pod for pod in owned if podlib.is_active(pod)]
    wanted = int(replica_set["spec"].get("replicas") or 0)
    surplus = len(active) - wanted
    create = 0
    delete: tuple[Object, ...] = ()
    if not meta.deleting(replica_set):
        create = min(max(-surplus, 0), BURST_MAX)
        if surplus > 0:
            delete = tuple(ranked(active, ranks, now)[: min(surplus, BURST_MAX)])
    return Plan(create=create, delete=delete, again_s=_next_available_in_s(replica_set, active, now))


def _next_available_in_s(replica_set: Object, active: Sequence[Object], now: datetime) -> float | None:
    min_ready_s = _min_ready_s(replica_set)
    if not min_ready_s:
        return None
    waits = (podlib.available_in_s(pod, min_ready_s, now) for pod in active)
    return min((wait for wait in waits if wait), default=None)


def status_of(replica_set: Object, owned: Sequence[Object], failure: Object | None, now: datetime) -> Object:
    """Return the status that `owned` add up to. `failure` is the ReplicaFailure condition to show, if any."""
    template_labels = meta.labels(replica_set["spec"].get("template") or {})
    min_ready_s = _min_ready_s(replica_set)
    active = [pod for pod in owned if podlib.is_active(pod)]
    ready = [pod for pod in active if podlib.is_ready(pod)]
    available = [pod for pod in ready if not min_ready_s or podlib.is_available(pod, min_ready_s, now)]
    conditions: list[Object] = list((replica_set.get("status") or {}).get("conditions") or ())
    if failure is None:
        conditions = drop_condition(conditions, "ReplicaFailure")
    elif condition_of(conditions, "ReplicaFailure") is None:
        conditions = [*conditions, {**failure, "lastTransitionTime": rfc3339(now)}]
    status = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template_labels.items() <= meta.labels(pod).items() for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": len(available),
        "terminatingReplicas": sum(podlib.is_terminating(pod) for pod in owned),
        "observedGeneration": meta.generation(replica_set),
        "conditions": conditions,
    }
    if replica_set["kind"] == "ReplicationController":
        del status["terminatingReplicas"]
    return without_zeros(status, keep=("replicas", "terminatingReplicas"))


def _min_ready_s(replica_set: Object) -> int:
    return int(replica_set["spec"].get("minReadySeconds") or 0)


def failure_condition(create: bool, error: Exception) -> Object:
    """Return the ReplicaFailure condition for a failed creation or deletion."""
    message = error.message if isinstance(error, ApiError) else str(error)
    if not create:
        message = f"unable to delete pods: {message}"
    reason = "FailedCreate" if create else "FailedDelete"
    return {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message}


def selector_of(obj: Object) -> Selector:
    """Return the pod selector of a ReplicaSet or a ReplicationController."""
    selector = obj["spec"].get("selector")
    if obj["kind"] == "ReplicationController":
        return labels.from_map(selector) if selector else Selector(nothing=True)
    return labels.from_label_selector(selector)


async def _reconcile(context: Context, resource: Resource, key: str) -> float | None:
    replica_set = context.caches[resource].get(key)
    if replica_set is None:
        return None
    pods = context.caches[PODS]
    candidates = [
        *pods.by_index(ORPHANS, meta.uid(replica_set)),
        *pods.by_index(ORPHANS, f"{meta.namespace(replica_set)}/"),
    ]
    selector = selector_of(replica_set)
    claims = plan_claims(replica_set, selector, [pod for pod in candidates if podlib.is_active(pod)])
    owned = await claim(context.client, resource, replica_set, PODS, claims)
    owned += [
        pod
        for pod in pods.by_index(ORPHANS, meta.uid(replica_set))
        if podlib.is_terminating(pod) and selector.matches(meta.labels(pod))
    ]
    now = context.clock.now()
    shrinks = len(owned) > int(replica_set["spec"].get("replicas") or 0)
    decided = plan(replica_set, owned, _ranks(context, replica_set) if shrinks else {}, now)
    error = await _carry_out(context, replica_set, decided, owned)
    if isinstance(error, ApiError) and namespace_is_terminating(error):
        error = None  # nothing can be made there any more; that is no failure of the ReplicaSet
    failure = failure_condition(decided.create > 0, error) if error is not None else None
    if isinstance(error, ApiError) and namespace_is_terminating(error):
        failure = None  # what goes with its namespace has not failed
    status = status_of(replica_set, owned, failure, now)
    if status != replica_set.get("status"):
        await context.client.update(resource, {**replica_set, "status": status}, subresource="status")
    if error is not None:
        raise error
    return decided.again_s


async def _carry_out(
    context: Context, replica_set: Object, decided: Plan, owned: Sequence[Object]
) -> Exception | None:
    if decided.create:
        template = replica_set["spec"]["template"]

        async def create(_number: int) -> None:
            await create_pod(context, replica_set, pod_from_template(template, replica_set))

        return await slow_start(range(decided.create), create)
    if decided.delete:
        _note_ages(context, owned, decided.delete)

        async def delete(pod: Object) -> None:
            await delete_pod(context, replica_set, pod)

        return await in_parallel(decided.delete, delete)
    return None


def _note_ages(context: Context, owned: Sequence[Object], leaving: Sequence[Object]) -> None:
    """Count how old those are that go, beside the youngest that is ready; nothing to tell if all go."""
    made = [at for pod in owned if podlib.is_ready(pod) and (at := podlib.created_at(pod)) is not None]
    if not made or len(leaving) >= len(owned):
        return
    now = context.clock.now()
    youngest_s = max(0.001, (now - max(made)).total_seconds())
    ratio = context.metrics.of(ReplicaSetMetrics).ratio
    for pod in leaving:
        at = podlib.created_at(pod)
        if podlib.is_ready(pod) and at is not None:
            ratio.observe((now - at).total_seconds() // youngest_s)


def _ranks(context: Context, replica_set: Object) -> Mapping[str, int]:
    """Return how many active pods of this ReplicaSet's owner run on each node (all its ReplicaSets').

    Nothing for one that nobody owns: it has no siblings.
    """
    owner = meta.controller_ref(replica_set)
    if owner is None or replica_set["kind"] != "ReplicaSet":
        return {}
    pods = context.caches[PODS]
    family = context.caches[REPLICASETS].by_index(ORPHANS, str(owner["uid"]))
    counts: dict[str, int] = {}
    for member in family:
        for pod in pods.by_index(ORPHANS, meta.uid(member)):
            node = podlib.node_name(pod)
            if node and podlib.is_active(pod):
                counts[node] = counts.get(node, 0) + 1
    return counts


def keys_of_pods(resource: Resource) -> KeysOf:
    """Return the keys_of of pods: their controller, before and after; for a pod without one, each that
    would adopt it."""

    def keys_of(delta: Delta, caches: Caches) -> Iterable[str]:
        keys: set[str] = set()
        for pod in (delta.old, delta.new):
            reference = meta.controller_ref(pod) if pod is not None else None
            if pod is not None and reference is not None and reference.get("kind") == resource.kind:
                keys.add(f"{meta.namespace(pod)}/{reference['name']}")
        pod = delta.new
        if pod is not None and meta.controller_ref(pod) is None and not meta.deleting(pod):
            for candidate in caches[resource].list(meta.namespace(pod)):
                if selector_of(candidate).matches(meta.labels(pod)):
                    keys.add(meta.key(candidate))
        return keys

    return keys_of


async def _reconcile_replica_set(context: Context, key: str) -> float | None:
    return await _reconcile(context, REPLICASETS, key)


async def _reconcile_replication_controller(context: Context, key: str) -> float | None:
    return await _reconcile(context, REPLICATIONCONTROLLERS, key)


_BY_CONTROLLER = {ORPHANS: controlled_by}

REPLICASET = Controller(
    name="replicaset-controller",
    watches=(
        Watch(resource=REPLICASETS, keys_of=own_key, indexes=_BY_CONTROLLER),
        Watch(resource=PODS, keys_of=keys_of_pods(REPLICASETS), indexes=_BY_CONTROLLER),
    ),
    reconcile=_reconcile_replica_set,
    workers=16,
)

REPLICATIONCONTROLLER = Controller(
    name="replicationcontroller-controller",
    component="replication-controller",
    service_account="replication-controller",
    watches=(
        Watch(resource=REPLICATIONCONTROLLERS, keys_of=own_key),
        Watch(resource=PODS, keys_of=keys_of_pods(REPLICATIONCONTROLLERS), indexes=_BY_CONTROLLER),
    ),
    reconcile=_reconcile_replication_controller,
)
