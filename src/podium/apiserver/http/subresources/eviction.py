"""pods/eviction: a deletion that asks disruption budgets first."""

from __future__ import annotations

from dataclasses import replace

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.body import read_object
from podium.apiserver.http.options import delete_options, write_options
from podium.apiserver.http.respond import json_value
from podium.apiserver.http.subresources.binding import SUCCESS
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import match_namespace
from podium.apiserver.registry.delete import DeleteOptions, check_preconditions, delete
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import modify, not_found
from podium.base.clock import rfc3339
from podium.base.http.message import Request, Response
from podium.machinery import labels
from podium.machinery.errors import BadRequest, Conflict, Object, PlainError, TooManyRequests
from podium.machinery.meta import condition_true, deep_copy
from podium.resources.core.pods import PODS
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS

_SCHEMA = "io.k8s.api.policy.v1.Eviction"
_RETRY_S = 10


async def evict(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer POST to pods/{name}/eviction. Raises `TooManyRequests` (429) when a budget forbids it."""
    write_options(request, call, "CreateOptions")
    eviction = await read_object(
        registry,
        call,
        request,
        kind="Eviction",
        api_version="policy/v1",
        schema=_SCHEMA,
        also=("policy/v1beta1",),
    )
    match_namespace(call, eviction["metadata"])
    name = eviction["metadata"].get("name") or ""
    if name and name != call.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    call.options = eviction.get("deleteOptions") or {}
    pod = registry.peek(PODS, call.namespace, call.name)
    if pod is None:
        raise not_found(call)
    attributes = await registry.admit(call, "CREATE", eviction)
    await registry.validate(attributes)
    dry_run = call.dry_run
    options = delete_options(request, eviction.get("deleteOptions") or {}, call)
    call.dry_run = call.dry_run or dry_run
    if may_go_without_asking(pod):
        return await _delete(registry, call, options)
    budget = _budget(registry, call, pod)
    if budget is not None and not (_unhealthy_may_go(budget, pod)):
        await _spend(registry, call, budget)
    return await _delete(registry, call, options)


def may_go_without_asking(pod: Object) -> bool:
    """Whether the pod is none that a budget counts: finished, not started, or going already."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


def _unhealthy_may_go(budget: Object, pod: Object) -> bool:
    """Whether a pod that is not ready may be evicted without costing the budget anything."""
    if condition_true(pod, "Ready"):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return bool(status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0)


def _budget(registry: Registry, call: Call, pod: Object) -> Object | None:
    served = registry.catalog.of(PODDISRUPTIONBUDGETS)
    matching = []
    for entry in served.root.range(f"{call.namespace}/"):
        budget = served.object(entry)
        selector = labels.from_label_selector((budget.get("spec") or {}).get("selector"))
        if selector.matches(pod["metadata"].get("labels") or {}):
            matching.append(budget)
    if len(matching) > 1:
        raise PlainError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    return matching[0] if matching else None


async def _spend(registry: Registry, call: Call, budget: Object) -> None:
    """Take one disruption from the budget. Raises `TooManyRequests`."""
    spending = Call(
        served=registry.catalog.of(PODDISRUPTIONBUDGETS),
        user=call.user,
        namespace=call.namespace,
        name=budget["metadata"]["name"],
        subresource="status",
        dry_run=call.dry_run,
        field_manager=call.field_manager,
    )

    async def transform(old: Object) -> Object:
        new: Object = deep_copy(old)
        status = new.setdefault("status", {})
        check_budget(old)
        status["disruptionsAllowed"] = status["disruptionsAllowed"] - 1
        disrupted = dict(status.get("disruptedPods") or {})
        disrupted[call.name] = rfc3339(registry.clock.now())
        status["disruptedPods"] = disrupted
        return new

    await modify(registry, spending, transform, system=True)


def check_budget(budget: Object) -> None:
    """Raise `TooManyRequests` when the budget has nothing left. Pure."""
    name = budget["metadata"]["name"]
    status = budget.get("status") or {}
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        raise _refused(
            f"The disruption budget {name} is still being processed by the server.", retry=_RETRY_S
        )
    if (status.get("disruptionsAllowed") or 0) <= 0:
        needed, healthy = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        raise _refused(
            f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently", retry=0
        )


def _refused(detail: str, *, retry: int) -> TooManyRequests:
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": detail}]}
    if retry:
        details["retryAfterSeconds"] = retry
    return TooManyRequests(
        "Cannot evict pod as it would violate the pod's disruption budget.", details=details
    )


async def _delete(registry: Registry, call: Call, options: DeleteOptions) -> Response:
    deleting = Call(
        served=call.served,
        user=call.user,
        namespace=call.namespace,
        name=call.name,
        dry_run=call.dry_run,
        options=call.options,
        annotations=call.annotations,
        audit=call.audit,
    )

    async def transform(old: Object) -> Object:
        check_preconditions(deleting, options, old)
        return disrupted(old, rfc3339(registry.clock.now()))

    try:
        if not call.dry_run:
            await modify(registry, deleting, transform, system=True)
            # Checked above, before this very change.
            options = replace(options, resource_version=None)
        await delete(registry, deleting, options)
    except Conflict as error:
        error.message = error.message.replace("on pods ", "on Pod ")
        error.details = {**(error.details or {}), "kind": "Pod"}
        raise
    return json_value(SUCCESS, status=201)


def disrupted(pod: Object, now: str) -> Object:
    """Return the pod with the condition that says why it goes: a Job may not count such an end. Pure."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    if generation := pod["metadata"].get("generation"):
        condition["observedGeneration"] = generation
    status: Object = pod.get("status") or {}
    others = [c for c in status.get("conditions") or () if c.get("type") != condition["type"]]
    return {**pod, "status": {**status, "conditions": [*others, condition]}}
