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
from podium.machinery.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    Object,
    PlainError,
    TooManyRequests,
)
from podium.machinery.meta import condition_true, deep_copy, find_condition, set_condition
from podium.resources.core.pods import PODS
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS, disruption_allowed

_SCHEMA = "io.k8s.api.policy.v1.Eviction"
_UNREADABLE = "ignoreStoreReadErrorWithClusterBreakingPotential"
_RETRY_S = 10
_TRIES = 20
_DISRUPTED_MAX = 2000
"""So many evictions may wait for the budget's controller to see them."""


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
    if name != call.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    wanted = eviction.get("deleteOptions") or {}
    if wanted.get(_UNREADABLE):
        raise Invalid.of("Eviction", "policy", name, [_readable_only()])
    call.options = wanted
    attributes = await registry.admit(call, "CREATE", eviction)
    await registry.validate(attributes)
    dry_run = call.dry_run
    if dry_run and wanted.get("dryRun") not in (None, [], ["All"]):
        asked = " ".join(wanted["dryRun"])
        raise PlainError(f"Non-matching dry-run options in request and content: [All] and [{asked}]")
    options = delete_options(request, wanted, call)
    call.dry_run = call.dry_run or dry_run
    if await _gone_unasked(registry, call, options):
        return json_value(SUCCESS, status=201)
    pod = _pod(registry, call)
    budget = _budget(registry, call, pod)
    if budget is not None and _unhealthy_may_go(budget, pod):
        await _delete_unhealthy(registry, call, options, budget, pod)
    else:
        if budget is not None:
            await _spend(registry, call, budget)
        await _delete(registry, call, options)
    return json_value(SUCCESS, status=201)


def _readable_only() -> FieldError:
    return FieldError.invalid(
        f"deleteOptions.{_UNREADABLE}",
        True,
        "can not be set for pod eviction, try after removing the option",
    )


def _pod(registry: Registry, call: Call) -> Object:
    pod = registry.peek(PODS, call.namespace, call.name)
    if pod is None:
        raise not_found(call)
    return pod


async def _gone_unasked(registry: Registry, call: Call, options: DeleteOptions) -> bool:
    """Delete the pod if no budget counts it. One that waits may become ready at that very moment: then it
    is looked at again, unless the client itself named the version that it means."""
    for left in reversed(range(_TRIES)):
        pod = _pod(registry, call)
        if not may_go_without_asking(pod):
            return False
        own = options.resource_version is not None
        ends_anyway = _finished(pod) or bool(pod["metadata"].get("deletionTimestamp"))
        exact = options if own or ends_anyway else _of_version(options, pod)
        try:
            await _delete(registry, call, exact)
        except Conflict:
            if own or not left:
                raise
            continue
        return True
    raise AssertionError("the last try returns or raises")


async def _delete_unhealthy(
    registry: Registry, call: Call, options: DeleteOptions, budget: Object, pod: Object
) -> None:
    """Delete a pod that costs its budget nothing while it is not ready: this version of it, no later one."""
    try:
        await _delete(registry, call, _of_version(options, pod))
    except Conflict:
        if options.resource_version is not None:
            raise
        raise _being_processed(budget["metadata"]["name"]) from None


def _of_version(options: DeleteOptions, pod: Object) -> DeleteOptions:
    return replace(options, resource_version=pod["metadata"]["resourceVersion"])


def _finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def may_go_without_asking(pod: Object) -> bool:
    """Whether the pod is none that a budget counts: finished, not started, or going already."""
    return (
        _finished(pod)
        or (pod.get("status") or {}).get("phase") == "Pending"
        or bool(pod["metadata"].get("deletionTimestamp"))
    )


def _unhealthy_may_go(budget: Object, pod: Object) -> bool:
    """Whether a pod that is not ready may be evicted without costing the budget anything."""
    if condition_true(pod, "Ready"):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return bool((status.get("currentHealthy") or 0) >= (status.get("desiredHealthy") or 0) > 0)


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
        check_budget(old)
        new: Object = deep_copy(old)
        now = registry.clock.now()
        status = new["status"]
        status["disruptionsAllowed"] -= 1
        if not status["disruptionsAllowed"]:
            status["conditions"] = set_condition(
                status.get("conditions"), disruption_allowed(0, status.get("observedGeneration") or 0), now
            )
        status["disruptedPods"] = {**(status.get("disruptedPods") or {}), call.name: rfc3339(now)}
        return new

    await modify(registry, spending, transform, system=True)


def check_budget(budget: Object) -> None:
    """Raise `TooManyRequests` when the budget has nothing left, `Forbidden` when it makes no sense. Pure."""
    name = budget["metadata"]["name"]
    status = budget.get("status") or {}
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        raise _being_processed(name)
    allowed = status.get("disruptionsAllowed") or 0
    if allowed < 0:
        raise Forbidden.to("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > _DISRUPTED_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise Forbidden.to("poddisruptionbudget", "policy", name, why)
    if not allowed:
        raise _refused(_why_not(budget), retry=0)


def _why_not(budget: Object) -> str:
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    needed, healthy = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
    condition = find_condition(budget, "DisruptionAllowed") or {}
    closed = f"The disruption budget {name} does not allow evicting pods currently"
    said = condition.get("message") if condition.get("status") == "False" else ""
    if said and condition.get("reason") == "SyncFailed":  # then the numbers mean nothing
        return f"{closed} because it failed sync: {said}"
    if healthy <= needed:
        return f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
    if said:
        return f"{closed} ({condition.get('reason')}): {said}"
    return closed


def _being_processed(name: str) -> TooManyRequests:
    return _refused(f"The disruption budget {name} is still being processed by the server.", retry=_RETRY_S)


def _refused(detail: str, *, retry: int) -> TooManyRequests:
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": detail}]}
    if retry:
        details["retryAfterSeconds"] = retry
    return TooManyRequests(
        "Cannot evict pod as it would violate the pod's disruption budget.", details=details
    )


async def _delete(registry: Registry, call: Call, options: DeleteOptions) -> None:
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
            marked = await modify(registry, deleting, transform, system=True)
            if options.resource_version is not None:  # the change that counts as none is this very one
                options = _of_version(options, marked.as_object())
        await delete(registry, deleting, options)
    except Conflict as error:
        error.message = error.message.replace("on pods ", "on Pod ")
        error.details = {**(error.details or {}), "kind": "Pod"}
        raise


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
    status: Object = pod.get("status") or {}
    others = [c for c in status.get("conditions") or () if c.get("type") != condition["type"]]
    return {**pod, "status": {**status, "conditions": [*others, condition]}}
