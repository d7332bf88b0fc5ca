"""Disruption budgets: how many pods may be taken away now.

The status is the promise that evictions spend: the API server takes one off `disruptionsAllowed` and notes
the pod in `disruptedPods` in one compare-and-swap, and nothing is allowed while the status is older than the
spec. So this controller counts a noted pod as gone already, until it is seen to go, or two minutes have
passed. Upstream: pkg/controller/disruption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import cast

import orjson

from podium.base.clock import parse_rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.common.percent import scaled
from podium.machinery import labels, meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.core.pods import PODS
from podium.resources.core.replicationcontrollers import REPLICATIONCONTROLLERS
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS, disruption_allowed
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.discovery import Kinds
from podium.runtime.informer import Delta

DELETION_TIMEOUT_S = 120.0
"""How long an evicted pod may take until it is seen being deleted."""
STALE_TARGET_S = 120.0
"""How long a pod may be marked as a disruption's target without being deleted."""
CONDITION = "DisruptionAllowed"
_BY_KUBELET = "TerminationByKubelet"
"""A kubelet that ends a pod may take any time until the pod is seen to go."""
_POD = "pod:"
_SCALED = (REPLICASETS, REPLICATIONCONTROLLERS, STATEFULSETS)
_BY_KIND = {(resource.group, resource.kind): resource for resource in _SCALED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    status: Object
    again_s: float | None
    overdue: tuple[Object, ...]
    """Pods whose deletion was promised and has not come."""


def needs_scale(budget: Object) -> bool:
    """Tell whether the budget is about a share of what is wanted, not about a number of pods."""
    spec = budget.get("spec") or {}
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def plan(budget: Object, pods: Sequence[Object], wanted: int | None, now: datetime) -> Plan:
    """Return what the budget's status should be. `pods` are those it selects; `wanted` is how many their
    controllers want in all (only asked for by budgets that `needs_scale`)."""
    spec = budget.get("spec") or {}
    expected = len(pods) if wanted is None else wanted
    if spec.get("maxUnavailable") is None and spec.get("minAvailable") is None:
        expected = desired = 0  # says nothing of what may go, so that nothing may
    elif spec.get("maxUnavailable") is not None:
        desired = max(0, expected - scaled(spec["maxUnavailable"], expected, round_up=True))
    else:
        desired = scaled(spec.get("minAvailable"), expected, round_up=True)
    disrupted, waits_s, overdue = _disrupted(budget, pods, now)
    healthy = sum(
        podlib.is_ready(pod) and not meta.deleting(pod) and meta.name(pod) not in disrupted for pod in pods
    )
    allowed = max(0, healthy - desired) if expected > 0 else 0
    return Plan(
        status=_status(budget, allowed, healthy, desired, expected, disrupted, now),
        again_s=min(waits_s, default=None),
        overdue=tuple(overdue),
    )


def _disrupted(
    budget: Object, pods: Sequence[Object], now: datetime
) -> tuple[dict[str, str], list[float], list[Object]]:
    """Return the evictions still to be seen, the seconds until each lapses, and the pods that lapsed."""
    noted: dict[str, str] = meta.dig(budget, "status", "disruptedPods", default={})
    kept: dict[str, str] = {}
    waits_s: list[float] = []
    overdue = []
    for pod in pods:
        at = noted.get(meta.name(pod))
        if at is None or meta.deleting(pod):
            continue
        left_s = (parse_rfc3339(at) + timedelta(seconds=DELETION_TIMEOUT_S) - now).total_seconds()
        if left_s <= 0:
            overdue.append(pod)
        else:
            kept[meta.name(pod)] = at
            waits_s.append(left_s)
    return kept, waits_s, overdue


def _status(
    budget: Object,
    allowed: int,
    healthy: int,
    desired: int,
    expected: int,
    disrupted: dict[str, str],
    now: datetime,
) -> Object:
    old = budget.get("status") or {}
    status: Object = {
        "observedGeneration": meta.generation(budget),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "conditions": meta.set_condition(
            old.get("conditions"),
            disruption_allowed(allowed, meta.generation(budget)),
            now,
        ),
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    return status


def failed(budget: Object, message: str, now: datetime) -> Object:
    """Return the status of a budget that cannot be counted: it allows nothing."""
    old = budget.get("status") or {}
    condition = {
        "type": CONDITION,
        "observedGeneration": old.get("observedGeneration") or 0,
        "status": "False",
        "reason": "SyncFailed",
        "message": message,
    }
    return {
        **old,
        "disruptionsAllowed": 0,
        "conditions": meta.set_condition(old.get("conditions"), condition, now),
    }


class _NoScale(Exception):
    """The number of pods that a controller wants cannot be known."""


async def _wanted(context: Context, kinds: Kinds, budget: Object, pods: Sequence[Object]) -> int:
    """Return how many pods the controllers of these pods want together. Raises _NoScale."""
    scales: dict[str, int] = {}
    asked: set[str] = set()
    unmanaged = False
    for pod in pods:
        reference = meta.controller_ref(pod)
        if reference is None:
            unmanaged = True
        elif str(reference.get("uid")) not in asked:
            asked.add(str(reference.get("uid")))
            found = await _scale(context, kinds, meta.namespace(pod), reference)
            if found is None:
                raise _NoScale(f'found no controllers for pod "{meta.name(pod)}"')
            uid, replicas = found
            scales[uid] = replicas
    if unmanaged:
        selector = labels.printed((budget.get("spec") or {}).get("selector"))
        context.recorder.event(
            budget,
            "Warning",
            "UnmanagedPods",
            f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. "
            "As a result, the status of the PDB cannot be calculated correctly, which may result in undefined"
            ' behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
            "integer value.",
        )
    return sum(scales.values())


async def _scale(context: Context, kinds: Kinds, namespace: str, reference: Object) -> tuple[str, int] | None:
    """Return the uid of the object that says how many pods there should be, and its number.

    What the caches do not know is asked of the API, as anything else that can be scaled. Raises _NoScale.
    """
    known = _known_scale(context, namespace, reference)
    return known if known is not None else await _foreign_scale(context, kinds, namespace, reference)


def _known_scale(context: Context, namespace: str, reference: Object) -> tuple[str, int] | None:
    group, _ = meta.split_api_version(str(reference.get("apiVersion") or ""))
    resource = _BY_KIND.get((group, str(reference.get("kind"))))
    owner = context.caches[resource].get(f"{namespace}/{reference.get('name')}") if resource else None
    if owner is None or meta.uid(owner) != reference.get("uid"):
        return None
    above = meta.controller_ref(owner)
    if resource is REPLICASETS and above is not None and above.get("kind") == DEPLOYMENTS.kind:
        deployment = context.caches[DEPLOYMENTS].get(f"{namespace}/{above.get('name')}")
        if deployment is None or meta.uid(deployment) != above.get("uid"):
            return None
        owner = deployment
    replicas = (owner.get("spec") or {}).get("replicas")
    return meta.uid(owner), int(1 if replicas is None else replicas)


async def _foreign_scale(
    context: Context, kinds: Kinds, namespace: str, reference: Object
) -> tuple[str, int] | None:
    group, version = meta.split_api_version(str(reference.get("apiVersion") or ""))
    kind = str(reference.get("kind"))
    served = await kinds.resources(context.client, context.clock, group, kind)
    if not served:
        tried = f"{group}/{version}" if group else version
        raise _NoScale(f'no matches for kind "{kind}" in version "{tried}"')
    resource: Resource = served[0]
    path = resource.path(namespace, str(reference["name"]), "scale")
    try:
        scale = cast(Object, orjson.loads(await context.client.raw("GET", path)))
    except NotFound as error:
        if (error.details or {}).get("name"):  # the object is missing, not the path
            return None
        raise _NoScale(f"{resource.group_plural} does not implement the scale subresource") from None
    except ApiError as error:
        raise _NoScale(error.message) from None
    if meta.uid(scale) != reference.get("uid"):
        return None
    return meta.uid(scale), int(meta.dig(scale, "spec", "replicas", default=0))


async def _reconcile(context: Context, key: str, kinds: Kinds) -> float | None:
    if key.startswith(_POD):
        return await _reconcile_pod(context, key.removeprefix(_POD))
    budget = context.caches[PODDISRUPTIONBUDGETS].get(key)
    if budget is None:
        return None
    selector = labels.from_label_selector((budget.get("spec") or {}).get("selector"))
    pods = [
        pod for pod in context.caches[PODS].list(meta.namespace(budget)) if selector.matches(meta.labels(pod))
    ]
    if not pods:
        context.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
    now = context.clock.now()
    again_s = None
    try:
        wanted = await _wanted(context, kinds, budget, pods) if needs_scale(budget) else None
    except _NoScale as error:
        message = f"Failed to calculate the number of expected pods: {error}"
        context.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
        status = failed(budget, str(error), now)
    else:
        decided = plan(budget, pods, wanted, now)
        for pod in decided.overdue:
            message = f"Pod was expected by PDB {key} to be deleted but it wasn't"
            context.recorder.event(pod, "Warning", "NotDeleted", message)
        status, again_s = decided.status, decided.again_s
    if status != budget.get("status"):
        await context.client.update(PODDISRUPTIONBUDGETS, {**budget, "status": status}, subresource="status")
    return again_s


def stale_in_s(pod: Object, now: datetime) -> float | None:
    """Return when the pod's mark as a disruption's target lapses; None when it has none that could."""
    condition = meta.find_condition(pod, "DisruptionTarget")
    if condition is None or condition.get("status") != "True" or meta.deleting(pod):
        return None
    if condition.get("reason") == _BY_KUBELET or podlib.is_finished(pod):
        return None
    since = parse_rfc3339(condition["lastTransitionTime"])
    return (since + timedelta(seconds=STALE_TARGET_S) - now).total_seconds()


def _selecting(caches: Caches, pod: Object) -> list[Object]:
    """Return the budgets that select the pod."""
    return [
        budget
        for budget in caches[PODDISRUPTIONBUDGETS].list(meta.namespace(pod))
        if labels.from_label_selector((budget.get("spec") or {}).get("selector")).matches(meta.labels(pod))
    ]


async def _reconcile_pod(context: Context, key: str) -> float | None:
    """Say so when several budgets select the pod, of which no eviction can honour more than one."""
    pod = context.caches[PODS].get(key)
    if pod is None:
        return None
    budgets = _selecting(context.caches, pod)
    if len(budgets) > 1:
        message = (
            f'Pod "{meta.namespace(pod)}"/"{meta.name(pod)}" matches multiple PodDisruptionBudgets.  '
            f'Chose "{meta.name(budgets[0])}" arbitrarily.'
        )
        context.recorder.event(pod, "Warning", "MultiplePodDisruptionBudgets", message)
    return await _reconcile_target(context, pod)


async def _reconcile_target(context: Context, pod: Object) -> float | None:
    """A pod that was to be disrupted, and was not after all, is marked no longer."""
    now = context.clock.now()
    left_s = stale_in_s(pod, now)
    if left_s is None or left_s > 0:
        return left_s
    conditions = meta.set_condition(
        list(meta.dig(pod, "status", "conditions", default=[])),
        {
            "type": "DisruptionTarget",
            "status": "False",
            **({"observedGeneration": meta.generation(pod)} if meta.generation(pod) else {}),
        },
        now,
    )
    patch = {
        "metadata": {"uid": meta.uid(pod), "resourceVersion": meta.metadata(pod)["resourceVersion"]},
        "status": {"conditions": conditions},
    }
    await context.client.patch(PODS, meta.name(pod), patch, meta.namespace(pod), subresource="status")
    return None


def _matters(delta: Delta) -> bool:
    """Tell whether a change of a pod can change what a budget counts."""
    old, new = delta.old, delta.new
    if old is None or new is None:
        return True
    return (podlib.is_ready(old), meta.deleting(old), meta.labels(old), meta.owner_references(old)) != (
        podlib.is_ready(new),
        meta.deleting(new),
        meta.labels(new),
        meta.owner_references(new),
    )


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    keys: list[str] = []
    if delta.new is not None and meta.condition_true(delta.new, "DisruptionTarget"):
        keys.append(_POD + meta.key(delta.new))
    budgets = caches[PODDISRUPTIONBUDGETS].list(meta.namespace(delta.object))
    if not budgets or not _matters(delta):
        return keys
    found: dict[str, None] = {}
    for pod in (delta.old, delta.new):
        selecting = _selecting(caches, pod) if pod is not None else []
        found |= dict.fromkeys(meta.key(budget) for budget in selecting)
        if pod is delta.new and pod is not None and len(selecting) > 1:
            keys.append(_POD + meta.key(pod))
    return [*keys, *found]


def _keys_of_scaled(delta: Delta, caches: Caches) -> Iterable[str]:
    """A controller of pods whose size changes: the budgets that go by it."""
    if delta.old is not None and delta.new is not None:
        sizes = [(obj.get("spec") or {}).get("replicas") for obj in (delta.old, delta.new)]
        if sizes[0] == sizes[1]:
            return ()
    budgets = caches[PODDISRUPTIONBUDGETS].list(meta.namespace(delta.object))
    return [meta.key(budget) for budget in budgets if needs_scale(budget)]


def disruption() -> Controller:
    """Return the controller, which remembers what is served of other kinds than those it watches."""
    return Controller(
        name="disruption-controller",
        component="controllermanager",
        watches=(
            Watch(resource=PODDISRUPTIONBUDGETS, keys_of=own_key),
            Watch(resource=PODS, keys_of=_keys_of_pod),
            Watch(resource=DEPLOYMENTS, keys_of=_keys_of_scaled),
            *(Watch(resource=resource, keys_of=_keys_of_scaled) for resource in _SCALED),
        ),
        reconcile=partial(_reconcile, kinds=Kinds()),
    )
