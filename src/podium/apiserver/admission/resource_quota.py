"""ResourceQuota: a namespace uses no more than its quotas allow.

What is used is counted from the watch caches at the moment of the write, so it is never stale; what is in
flight at the same moment is reserved until it shows there. As upstream, a quota restrains only once the quota
controller has put its limits into the status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from podium.apiserver.admission.amounts import Amounts, add, pod_amounts
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Reader
from podium.base.clock import Clock, WallClock
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, parse
from podium.resources.core.resourcequotas import RESOURCEQUOTAS

# Longer than a write takes; a write that failed after its reservation gives it back this late.
RESERVED_S = 2.0

Usage = Amounts

_ONE = parse("1")
# Counted under their plain plural, besides `count/...`.
_PLAIN_COUNTS = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reservation:
    name: str
    usage: Usage
    until_s: float


class ResourceQuota(Plugin):
    name = "ResourceQuota"

    def __init__(self, reader: Reader, *, clock: Clock | None = None) -> None:
        self._reader = reader
        self._quotas = reader.cached(RESOURCEQUOTAS)
        self._clock = clock or WallClock()
        self._reserved: dict[tuple[str, str], list[_Reservation]] = {}

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.subresource:
            return
        new = attributes.object
        if new is None or not attributes.namespace:
            return
        quotas = [q for q in self._quotas.list(attributes.namespace) if meta.dig(q, "status", "hard")]
        if not quotas:
            return
        group_plural = attributes.resource.group_plural
        asked = usage_of(group_plural, new)
        if attributes.old_object is not None:
            asked = _increase(asked, usage_of(group_plural, attributes.old_object))
        asked = {name: amount for name, amount in asked.items() if amount > ZERO}
        for quota in quotas:
            self._check(attributes, quota, asked)
        if asked and not attributes.dry_run and attributes.operation == "CREATE":
            self._reserve(attributes, asked)

    def _check(self, attributes: Attributes, quota: Object, asked: Usage) -> None:
        assert attributes.object is not None
        group_plural = attributes.resource.group_plural
        if not matches_scopes(quota, group_plural, attributes.object):
            return
        hard = {name: parse(text) for name, text in quota["status"]["hard"].items()}
        if group_plural == "pods" and attributes.operation == "CREATE":
            unsaid = unsaid_amounts(hard, attributes.object)
            if unsaid:
                raise refused(attributes, f"failed quota: {meta.name(quota)}: must specify {unsaid}")
        concerned = sorted(name for name in asked if name in hard)
        if not concerned:
            return
        used = self._used(attributes, quota)
        exceeded = [name for name in concerned if hard[name] < used.get(name, ZERO) + asked[name]]
        if exceeded:
            raise refused(
                attributes,
                f"exceeded quota: {meta.name(quota)}, requested: {_shown(asked, exceeded)}, "
                f"used: {_shown(used, exceeded)}, limited: {_shown(hard, exceeded)}",
            )

    def _used(self, attributes: Attributes, quota: Object) -> Usage:
        group_plural = attributes.resource.group_plural
        objects = self._reader.cached(attributes.resource).list(attributes.namespace)
        seen: set[str] = set()
        used: Usage = {}
        for obj in objects:
            seen.add(meta.name(obj))
            if matches_scopes(quota, group_plural, obj):
                add(used, usage_of(group_plural, obj))
        for reservation in self._in_flight(attributes, seen):
            add(used, reservation.usage)
        return used

    def _in_flight(self, attributes: Attributes, seen: set[str]) -> list[_Reservation]:
        key = (attributes.resource.group_plural, attributes.namespace)
        now_s = self._clock.monotonic_s()
        kept = [r for r in self._reserved.get(key, ()) if r.until_s > now_s and r.name not in seen]
        if kept:
            self._reserved[key] = kept
        else:
            self._reserved.pop(key, None)
        return kept

    def _reserve(self, attributes: Attributes, asked: Usage) -> None:
        assert attributes.object is not None
        key = (attributes.resource.group_plural, attributes.namespace)
        until_s = self._clock.monotonic_s() + RESERVED_S
        name = meta.name(attributes.object)
        self._in_flight(attributes, {name})
        reservation = _Reservation(name=name, usage=asked, until_s=until_s)
        self._reserved.setdefault(key, []).append(reservation)


# --- what an object uses


def usage_of(group_plural: str, obj: Object) -> Usage:
    """Return what one object counts for, under the names that quotas use."""
    usage: Usage = {f"count/{group_plural}": _ONE}
    if group_plural in _PLAIN_COUNTS:
        usage[group_plural] = _ONE
    match group_plural:
        case "pods":
            usage.update(_pod_usage(obj))
        case "persistentvolumeclaims":
            usage.update(_claim_usage(obj))
        case "services":
            usage.update(_service_usage(obj))
    return usage


def _pod_usage(pod: Object) -> Usage:
    # A finished pod still exists but uses nothing.
    if meta.dig(pod, "status", "phase") in ("Succeeded", "Failed"):
        return {}
    spec = pod.get("spec") or {}
    requests, limits = pod_amounts(spec, "requests"), pod_amounts(spec, "limits")
    usage: Usage = {"pods": _ONE}
    for name, amount in requests.items():
        usage[f"requests.{name}"] = amount
        if name in _COMPUTE:
            usage[name] = amount
    for name, amount in limits.items():
        usage[f"limits.{name}"] = amount
    return usage


def _claim_usage(claim: Object) -> Usage:
    size = parse(meta.dig(claim, "spec", "resources", "requests", "storage", default="0"))
    usage = {"requests.storage": size}
    storage_class = meta.dig(claim, "spec", "storageClassName", default="")
    if storage_class:
        prefix = f"{storage_class}.storageclass.storage.k8s.io"
        usage[f"{prefix}/requests.storage"] = size
        usage[f"{prefix}/persistentvolumeclaims"] = _ONE
    return usage


def _service_usage(service: Object) -> Usage:
    type, ports = meta.dig(service, "spec", "type"), meta.dig(service, "spec", "ports", default=())
    usage: Usage = {}
    if type == "LoadBalancer":
        usage["services.loadbalancers"] = _ONE
    if type in ("NodePort", "LoadBalancer"):
        usage["services.nodeports"] = parse(str(len(ports)))
    return usage


def unsaid_amounts(hard: Iterable[str], pod: Object) -> str:
    """Return which limited amounts the containers leave open: `limits.cpu for: a,b; requests.cpu for: a`."""
    open_amounts: dict[str, list[str]] = {}
    for container in meta.dig(pod, "spec", "containers", default=()):
        for name in hard:
            part, _, resource = name.rpartition(".")
            part = part or "requests"
            if resource not in _COMPUTE or part not in ("requests", "limits"):
                continue
            if resource not in meta.dig(container, "resources", part, default={}):
                open_amounts.setdefault(name, []).append(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(open_amounts[name])}" for name in sorted(open_amounts))


# --- which objects a quota is about


def matches_scopes(quota: Object, group_plural: str, obj: Object) -> bool:
    """Tell whether the object is in every scope of the quota; only pods are in any."""
    scopes = list(meta.dig(quota, "spec", "scopes", default=()))
    expressions = meta.dig(quota, "spec", "scopeSelector", "matchExpressions", default=())
    if not scopes and not expressions:
        return True
    if group_plural != "pods":
        return False
    return all(_in_scope(scope, obj) for scope in scopes) and all(
        _matches_expression(expression, obj) for expression in expressions
    )


def _in_scope(scope: str, pod: Object) -> bool:
    spec = pod.get("spec") or {}
    terminating = (spec.get("activeDeadlineSeconds") or -1) >= 0
    match scope:
        case "Terminating":
            return terminating
        case "NotTerminating":
            return not terminating
        case "BestEffort":
            return _best_effort(spec)
        case "NotBestEffort":
            return not _best_effort(spec)
        case "PriorityClass":
            return bool(spec.get("priorityClassName"))
    return False


def _matches_expression(expression: Object, pod: Object) -> bool:
    scope, operator = expression.get("scopeName", ""), expression.get("operator")
    if scope != "PriorityClass":
        return _in_scope(scope, pod)
    name, values = meta.dig(pod, "spec", "priorityClassName", default=""), expression.get("values") or ()
    match operator:
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "Exists":
            return bool(name)
        case "DoesNotExist":
            return not name
    return False


def _best_effort(spec: Object) -> bool:
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return not any(
        meta.dig(container, "resources", part, name)
        for container in containers
        for part in ("requests", "limits")
        for name in ("cpu", "memory")
    )


# --- amounts


def _increase(new: Usage, old: Usage) -> Usage:
    return {name: amount - old.get(name, ZERO) for name, amount in new.items()}


def _shown(amounts: Usage, names: list[str]) -> str:
    return ",".join(f"{name}={amounts.get(name, ZERO)}" for name in names)
