"""What an object counts for in resource quotas, and which quotas are about it. Pure.

The API server asks before a write, the quota controller counts what there is: both must agree.
Upstream: pkg/quota/v1/evaluator/core.
"""

from __future__ import annotations

from podium.machinery import meta
from podium.machinery.amounts import Amounts, add, pod_amounts
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, Quantity, parse

Usage = Amounts

_ONE = parse("1")
# Counted under their plain plural, besides `count/...`.
PLAIN_COUNTS = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
COMPUTE = ("cpu", "memory", "ephemeral-storage")
DEVICES = ".deviceclass.resource.k8s.io/devices"
"""After the name of a class: how many of its devices resource claims may ask for."""
DEVICES_MAX = 32
"""How many devices one request can be given: what asking for all of them counts for."""


# --- what an object uses


def usage_of(group_plural: str, obj: Object) -> Usage:
    """Return what one object counts for, under the names that quotas use."""
    usage: Usage = {f"count/{group_plural}": _ONE}
    if group_plural in PLAIN_COUNTS:
        usage[group_plural] = _ONE
    match group_plural:
        case "pods":
            usage.update(_pod_usage(obj))
        case "persistentvolumeclaims":
            usage.update(_claim_usage(obj))
        case "services":
            usage.update(_service_usage(obj))
        case "resourceclaims.resource.k8s.io":
            usage.update(_device_usage(obj))
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
        if name in COMPUTE or name.startswith("hugepages-"):
            usage[name] = amount
    for name, amount in limits.items():
        usage[f"limits.{name}"] = amount
    return usage


def _claim_usage(claim: Object) -> Usage:
    size = parse(meta.dig(claim, "spec", "resources", "requests", "storage", default="0"))
    # While a claim is being resized, the larger size counts.
    size = max(size, parse(meta.dig(claim, "status", "allocatedResources", "storage", default="0")))
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
    if type == "LoadBalancer" and meta.dig(service, "spec", "allocateLoadBalancerNodePorts") is False:
        ports = [port for port in ports if port.get("nodePort")]
    if type in ("NodePort", "LoadBalancer"):
        usage["services.nodeports"] = parse(str(len(ports)))
    return usage


def _device_usage(claim: Object) -> Usage:
    """Return the devices that a claim may get; of alternatives the most of each class."""
    usage: Usage = {}
    for request in meta.dig(claim, "spec", "devices", "requests", default=()):
        most: Usage = {}
        exactly = request.get("exactly")
        for one in (exactly,) if exactly is not None else request.get("firstAvailable") or ():
            name = f"{one.get('deviceClassName')}{DEVICES}"
            most[name] = max(most.get(name, ZERO), _devices(one))
        add(usage, most)
    return usage


def _devices(request: Object) -> Quantity:
    if request.get("allocationMode") == "All":
        return parse(str(DEVICES_MAX))
    return parse(str(request.get("count") or 1))


# --- which objects a quota is about


def matches_scopes(quota: Object, group_plural: str, obj: Object) -> bool:
    """Tell whether the object is in every scope of the quota; only pods are in any."""
    scopes = list(meta.dig(quota, "spec", "scopes", default=()))
    expressions = meta.dig(quota, "spec", "scopeSelector", "matchExpressions", default=())
    if not scopes and not expressions:
        return True
    if group_plural == "persistentvolumeclaims":
        return not scopes and all(_claim_matches(expression, obj) for expression in expressions)
    if group_plural != "pods":
        return False
    return all(_in_scope(str(scope), obj) for scope in scopes) and all(
        _matches_expression(expression, obj) for expression in expressions
    )


def in_scope(expression: Object, group_plural: str, obj: Object) -> bool:
    """Tell whether an object is in the scope that a selector names. Only pods and claims are in any."""
    if group_plural == "persistentvolumeclaims":
        return _claim_matches(expression, obj)
    return group_plural == "pods" and _matches_expression(expression, obj)


def _claim_matches(expression: Object, claim: Object) -> bool:
    """Claims are in one kind of scope: that of their VolumeAttributesClass."""
    if expression.get("scopeName") != "VolumeAttributesClass":
        return False
    names = {
        meta.dig(claim, "spec", "volumeAttributesClassName"),
        meta.dig(claim, "status", "currentVolumeAttributesClassName"),
        meta.dig(claim, "status", "modifyVolumeStatus", "targetVolumeAttributesClassName"),
    } - {None, ""}
    return any(_operator(expression, str(name)) for name in names) if names else _operator(expression, "")


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
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec.get("affinity") or {})
    return False


def _crosses_namespaces(affinity: Object) -> bool:
    """Tell whether a term of pod (anti-)affinity names namespaces."""
    for kind in ("podAffinity", "podAntiAffinity"):
        of_kind = affinity.get(kind) or {}
        terms = list(of_kind.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = of_kind.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [entry.get("podAffinityTerm") or {} for entry in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def _matches_expression(expression: Object, pod: Object) -> bool:
    scope = str(expression.get("scopeName") or "")
    if scope != "PriorityClass":
        return _in_scope(scope, pod)
    return _operator(expression, str(meta.dig(pod, "spec", "priorityClassName", default="")))


def _operator(expression: Object, name: str) -> bool:
    values = expression.get("values") or ()
    match expression.get("operator"):
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
