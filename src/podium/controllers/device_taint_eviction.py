"""Pods leave devices with NoExecute taints, unless their claims tolerate these, or have done so long enough.

Taints stand in the ResourceSlices that list the devices, and in DeviceTaintRules, where that feature is on;
tolerations were copied into the claim's allocation when the device was given.
Upstream: pkg/controller/devicetainteviction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339, rfc3339
from podium.base.metrics import Registry
from podium.controllers import device_taint_rules as rules
from podium.controllers.common import pods as podlib
from podium.controllers.common.tolerations import tolerates
from podium.controllers.device_taint_rules import Counts
from podium.controllers.taint_eviction import mark_disrupted
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.pods import PODS
from podium.resources.resource.devicetaintrules import DEVICETAINTRULES_V1BETA2 as DEVICETAINTRULES
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceslices import RESOURCESLICES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "device-taint-eviction-controller"
_BY_POOL = "device pool"
_BY_USER = "reserved for pod"
_RULE = "rule:"
"""Keys are claims, and this with the name of a rule, whose condition is to be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tainted:
    """A taint of a device, and the rule it comes from (None: the device's own)."""

    taint: Object
    rule: Object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """When the users of a claim have to leave its devices, and the rules that say so."""

    at: datetime
    rules: tuple[Object, ...] = ()


TaintsOf = Callable[[Object], Iterable[Tainted]]
"""The taints of the device that an allocation result names."""


def leave(claim: Object, taints_of: TaintsOf, now: datetime) -> Leave | None:
    """Return when the users of a claim have to leave its devices; None: they may stay."""
    times: list[datetime] = []
    causes: dict[str, Object] = {}
    for result in _results(claim):
        tolerations = [t for t in result.get("tolerations") or () if t.get("effect") == "NoExecute"]
        for tainted in taints_of(result):
            at = _leave_at(tainted.taint, tolerations, now)
            if at is None:
                continue
            times.append(at)
            if tainted.rule is not None:
                causes[meta.name(tainted.rule)] = tainted.rule
    return Leave(at=min(times), rules=tuple(causes.values())) if times else None


def _leave_at(taint: Object, tolerations: Iterable[Object], now: datetime) -> datetime | None:
    if taint.get("effect") != "NoExecute":
        return None
    added = parse_rfc3339(taint["timeAdded"]) if taint.get("timeAdded") else now
    fitting = [t for t in tolerations if tolerates(t, taint)]
    if any(t.get("tolerationSeconds") is None for t in fitting):
        return None
    seconds = [max(0, int(t["tolerationSeconds"])) for t in fitting]
    return added + timedelta(seconds=min(seconds, default=0))


def _results(claim: Object) -> list[Object]:
    found: list[Object] = meta.dig(claim, "status", "allocation", "devices", "results", default=[])
    return found


def _pool_of_result(result: Object) -> str:
    return f"{result.get('driver')}/{result.get('pool')}"


def _current(slices: Iterable[Object]) -> list[Object]:
    """Return those slices of a pool that are not out of date."""
    known = list(slices)
    newest = max((_generation(one) for one in known), default=0)
    return [one for one in known if _generation(one) == newest]


def taints_in(slices: Iterable[Object], device: str) -> list[Object]:
    """Return a device's taints, from those slices of its pool that are not out of date."""
    for one in _current(slices):
        for entry in one["spec"].get("devices") or ():
            if entry.get("name") == device:
                return list(entry.get("taints") or ())
    return []


def _generation(slice_: Object) -> int:
    return int(meta.dig(slice_, "spec", "pool", "generation") or 0)


class DeviceTaintMetrics:
    """What the controller counts, under upstream's names."""

    def __init__(self, registry: Registry) -> None:
        prefix = "device_taint_eviction_controller"
        self.deletions = registry.counter(
            f"{prefix}_pod_deletions_total", "Pods that had to leave a device."
        ).labels()
        self.latency = registry.histogram(
            f"{prefix}_pod_deletion_duration_seconds",
            "How long after the time at which it had to leave a pod was deleted.",
            (0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240),
        ).labels()


class _Evictions:
    """The controller's work, and what it remembers."""

    def __init__(self, *, with_rules: bool) -> None:
        self._with_rules = with_rules
        self._evicted: Counter[str] = Counter()
        """uid of a rule -> pods that have left because of it"""
        self._warned: dict[str, list[tuple[str, str]]] = {}
        """claim -> (key, uid) of the pods that are to leave it later"""

    async def reconcile(self, context: Context, key: str) -> float | None:
        if key.startswith(_RULE):
            return await self._tell(context, key.removeprefix(_RULE))
        claim = context.caches[RESOURCECLAIMS].get(key)
        now = context.clock.now()
        found = leave(claim, self._taints(context.caches), now) if claim is not None else None
        if claim is None or found is None:
            self._cancel(context, key)
            return None
        users = list(_users(claim, context.caches))
        if users:
            for rule in found.rules:
                context.queue.add_after(_RULE + meta.name(rule), rules.STATUS_PERIOD_S)
        if found.at > now:
            self._warned[key] = [(meta.key(pod), meta.uid(pod)) for pod in users]
            return (found.at - now).total_seconds()
        self._warned.pop(key, None)
        for pod in users:
            if await _evict(context, pod, now):
                metrics = context.metrics.of(DeviceTaintMetrics)
                metrics.deletions.inc()
                metrics.latency.observe((context.clock.now() - found.at).total_seconds())
                self._evicted.update(meta.uid(rule) for rule in found.rules)
        return None

    def _cancel(self, context: Context, key: str) -> None:
        for pod_key, uid in self._warned.pop(key, ()):
            pod = context.caches[PODS].get(pod_key)
            if pod is not None and meta.uid(pod) == uid:
                context.recorder.event(pod, "Normal", "DeviceTaintManagerEviction", "Cancelling deletion")

    def _taints(self, caches: Caches, simulated: Object | None = None) -> TaintsOf:
        """Return what looks up taints; `simulated` is a rule that counts beside the others."""
        known = caches[DEVICETAINTRULES].list() if self._with_rules else []
        evicting = [rule for rule in known if rules.effect(rule) == "NoExecute"]
        if simulated is not None:
            evicting.append(simulated)

        def taints_of(result: Object) -> Iterator[Tainted]:
            device = str(result.get("device"))
            for taint in taints_in(
                caches[RESOURCESLICES].by_index(_BY_POOL, _pool_of_result(result)), device
            ):
                yield Tainted(taint=taint)
            for rule in evicting:
                if rules.selects(rule, str(result.get("driver")), str(result.get("pool")), device):
                    yield Tainted(taint=rule["spec"]["taint"], rule=rule)

        return taints_of

    async def _tell(self, context: Context, name: str) -> float | None:
        """Bring a rule's condition up to date."""
        rule = context.caches[DEVICETAINTRULES].get(name)
        if rule is None:
            return None
        now = context.clock.now()
        if wait_s := rules.wait_s(rule, now):
            return wait_s
        new = rules.condition(rule, self._counts(context.caches, rule, now), now)
        if new is not None:
            body = {
                "apiVersion": DEVICETAINTRULES.api_version,
                "kind": DEVICETAINTRULES.kind,
                "metadata": {"name": name, "uid": meta.uid(rule)},
                "status": {"conditions": [new]},
            }
            await context.client.patch(
                DEVICETAINTRULES,
                name,
                body,
                type="apply",
                subresource="status",
                field_manager=NAME,
                force=True,
            )
        return None

    def _counts(self, caches: Caches, rule: Object, now: datetime) -> Counts:
        evicted = self._evicted[meta.uid(rule)]
        if rules.effect(rule) not in ("None", "NoExecute"):
            return Counts(evicted=evicted)
        claims = caches[RESOURCECLAIMS].list()
        simulated = rules.as_if_evicting(rule) if rules.effect(rule) == "None" else None
        taints = self._taints(caches, simulated)
        pods: set[str] = set()
        for claim in claims:
            found = leave(claim, taints, now)
            if found is not None and any(meta.uid(one) == meta.uid(rule) for one in found.rules):
                pods.update(meta.key(pod) for pod in _users(claim, caches))
        if simulated is None:
            return Counts(pods=pods, evicted=evicted)
        results = (result for claim in claims for result in _results(claim))
        return Counts(
            pods=pods,
            published=_published(rule, caches[RESOURCESLICES].list()),
            allocated=sum(rules.selects(rule, r["driver"], r["pool"], r["device"]) for r in results),
            evicted=evicted,
        )

    def forget(self, rule: Object) -> None:
        del self._evicted[meta.uid(rule)]

    def keys_of_rule(self, delta: Delta, caches: Caches) -> Iterable[str]:
        """The rule, to be told about at once, and the claims that it has, or had, to do with."""
        old, new = delta.old, delta.new
        if old is not None and new is not None and old["spec"] == new["spec"]:
            return ()
        if new is None:
            self.forget(delta.object)
        evicting = [one for one in (old, new) if one is not None and rules.effect(one) == "NoExecute"]
        claims = [
            meta.key(claim)
            for claim in caches[RESOURCECLAIMS].list()
            if any(
                rules.selects(rule, r["driver"], r["pool"], r["device"])
                for rule in evicting
                for r in _results(claim)
            )
        ]
        return claims if new is None else [_RULE + meta.name(new), *claims]


def _published(rule: Object, slices: Iterable[Object]) -> int:
    """Count the devices in slices, out-dated ones left out, that a rule is about."""
    pools: dict[str, list[Object]] = {}
    for one in slices:
        pools.setdefault(next(iter(_pool_of_slice(one))), []).append(one)
    return sum(
        rules.selects(rule, one["spec"]["driver"], one["spec"]["pool"]["name"], device["name"])
        for pool in pools.values()
        for one in _current(pool)
        for device in one["spec"].get("devices") or ()
    )


def _users(claim: Object, caches: Caches) -> Iterator[Object]:
    """The pods that would have to leave the claim's devices: those on a node that are not over."""
    for user in meta.dig(claim, "status", "reservedFor", default=()):
        pod = caches[PODS].get(f"{meta.namespace(claim)}/{user.get('name')}")
        if user.get("resource") != "pods" or pod is None or meta.uid(pod) != user.get("uid"):
            continue
        if podlib.node_name(pod) and not meta.deleting(pod) and not podlib.is_finished(pod):
            yield pod


async def _evict(context: Context, pod: Object, now: datetime) -> bool:
    """Tell whether the pod was there to be deleted."""
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
        return False
    return True


def _pools_of_claim(claim: Object) -> Iterable[str]:
    return {_pool_of_result(result) for result in _results(claim)}


def _users_of_claim(claim: Object) -> Iterable[str]:
    return {str(user.get("uid")) for user in meta.dig(claim, "status", "reservedFor", default=())}


def _pool_of_slice(slice_: Object) -> Iterable[str]:
    return (f"{slice_['spec'].get('driver')}/{meta.dig(slice_, 'spec', 'pool', 'name')}",)


def _keys_of_claim(delta: Delta, _caches: Caches) -> Iterable[str]:
    return (meta.key(delta.object),) if _results(delta.object) else ()


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


def device_taint_eviction(*, with_rules: bool = False) -> Controller:
    """Return the controller; `with_rules`: DeviceTaintRules count too."""
    evictions = _Evictions(with_rules=with_rules)
    watches = [
        Watch(
            resource=RESOURCECLAIMS,
            keys_of=_keys_of_claim,
            indexes={_BY_POOL: _pools_of_claim, _BY_USER: _users_of_claim},
        ),
        Watch(resource=RESOURCESLICES, keys_of=_keys_of_slice, indexes={_BY_POOL: _pool_of_slice}),
        Watch(resource=PODS, keys_of=_keys_of_pod),
    ]
    if with_rules:
        watches.append(Watch(resource=DEVICETAINTRULES, keys_of=evictions.keys_of_rule))
    return Controller(name=NAME, service_account=NAME, watches=tuple(watches), reconcile=evictions.reconcile)
