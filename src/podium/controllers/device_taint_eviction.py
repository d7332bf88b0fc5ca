"""Pods leave devices with NoExecute taints, unless their claims tolerate these, or have done so long enough.

Taints stand in the ResourceSlices that list the devices; tolerations were copied into the claim's allocation
when the device was given. Upstream: pkg/controller/devicetainteviction. (DeviceTaintRules, which are off by
default, are not looked at.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.common.tolerations import tolerates
from podium.controllers.taint_eviction import mark_disrupted
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.pods import PODS
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceslices import RESOURCESLICES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "device-taint-eviction-controller"
_BY_POOL = "device pool"
_BY_USER = "reserved for pod"

TaintsOf = Callable[[Object], Iterable[Object]]
"""The taints of the device that an allocation result names."""


def evict_at(claim: Object, taints_of: TaintsOf, now: datetime) -> datetime | None:
    """Return when the users of a claim have to leave its devices; None: they may stay."""
    leave: list[datetime] = []
    for result in _results(claim):
        tolerations = [t for t in result.get("tolerations") or () if t.get("effect") == "NoExecute"]
        for taint in taints_of(result):
            if taint.get("effect") != "NoExecute":
                continue
            added = parse_rfc3339(taint["timeAdded"]) if taint.get("timeAdded") else now
            fitting = [t for t in tolerations if tolerates(t, taint)]
            if any(t.get("tolerationSeconds") is None for t in fitting):
                continue
            seconds = [max(0, int(t["tolerationSeconds"])) for t in fitting]
            leave.append(added + timedelta(seconds=min(seconds, default=0)))
    return min(leave, default=None)


def _results(claim: Object) -> list[Object]:
    found: list[Object] = meta.dig(claim, "status", "allocation", "devices", "results", default=[])
    return found


def _pool_of_result(result: Object) -> str:
    return f"{result.get('driver')}/{result.get('pool')}"


def taints_in(slices: Iterable[Object], device: str) -> list[Object]:
    """Return a device's taints, from those slices of its pool that are not out of date."""
    known = list(slices)
    newest = max((_generation(one) for one in known), default=0)
    for one in known:
        if _generation(one) != newest:
            continue
        for entry in one["spec"].get("devices") or ():
            if entry.get("name") == device:
                return list(entry.get("taints") or ())
    return []


def _generation(slice_: Object) -> int:
    return int(meta.dig(slice_, "spec", "pool", "generation") or 0)


async def _reconcile(context: Context, key: str) -> float | None:
    claim = context.caches[RESOURCECLAIMS].get(key)
    if claim is None:
        return None
    slices = context.caches[RESOURCESLICES]

    def taints_of(result: Object) -> list[Object]:
        return taints_in(slices.by_index(_BY_POOL, _pool_of_result(result)), str(result.get("device")))

    now = context.clock.now()
    leave = evict_at(claim, taints_of, now)
    if leave is None:
        return None
    if leave > now:
        return (leave - now).total_seconds()
    for user in meta.dig(claim, "status", "reservedFor", default=()):
        pod = context.caches[PODS].get(f"{meta.namespace(claim)}/{user.get('name')}")
        if user.get("resource") == "pods" and pod is not None and meta.uid(pod) == user.get("uid"):
            await _evict(context, pod, now)
    return None


async def _evict(context: Context, pod: Object, now: datetime) -> None:
    if not podlib.node_name(pod) or meta.deleting(pod) or podlib.is_finished(pod):
        return
    context.recorder.event(pod, "Normal", "DeviceTaintManagerEviction", "Marking for deletion")
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByDeviceTaintManager",
        "message": "Device Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": rfc3339(now),
    }
    try:
        await mark_disrupted(context, pod, condition)
        await context.client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
    except NotFound:
        return


def _pools_of_claim(claim: Object) -> Iterable[str]:
    return {_pool_of_result(result) for result in _results(claim)}


def _users_of_claim(claim: Object) -> Iterable[str]:
    return {str(user.get("uid")) for user in meta.dig(claim, "status", "reservedFor", default=())}


def _pool_of_slice(slice_: Object) -> Iterable[str]:
    return (f"{slice_['spec'].get('driver')}/{meta.dig(slice_, 'spec', 'pool', 'name')}",)


def _keys_of_claim(delta: Delta, _caches: Caches) -> Iterable[str]:
    return (meta.key(delta.new),) if delta.new is not None and _results(delta.new) else ()


def _keys_of_slice(delta: Delta, caches: Caches) -> Iterable[str]:
    claims = caches[RESOURCECLAIMS]
    return {meta.key(c) for pool in _pool_of_slice(delta.object) for c in claims.by_index(_BY_POOL, pool)}


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    """A pod with claims that comes to its node."""
    pod = delta.new
    if pod is None or not (pod.get("spec") or {}).get("resourceClaims") or not podlib.node_name(pod):
        return ()
    if delta.old is not None and podlib.node_name(delta.old):
        return ()
    return [meta.key(claim) for claim in caches[RESOURCECLAIMS].by_index(_BY_USER, meta.uid(pod))]


DEVICE_TAINT_EVICTION = Controller(
    name=NAME,
    service_account=NAME,
    watches=(
        Watch(
            resource=RESOURCECLAIMS,
            keys_of=_keys_of_claim,
            indexes={_BY_POOL: _pools_of_claim, _BY_USER: _users_of_claim},
        ),
        Watch(resource=RESOURCESLICES, keys_of=_keys_of_slice, indexes={_BY_POOL: _pool_of_slice}),
        Watch(resource=PODS, keys_of=_keys_of_pod),
    ),
    reconcile=_reconcile,
)
