"""What an object counts for in resource quotas, and which quotas are about it. Pure.

The API server asks before a write, the quota controller counts what there is: both must agree.
Upstream: pkg/quota/v1/evaluator/core.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339
from podium.machinery import meta
from podium.machinery.amounts import Amounts, add, pod_amounts
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, Quantity, parse
from podium.resources.core.qos import qos_class

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
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
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
    status = pod.get("status") or {}
    requests, limits = pod_amounts(spec, "requests", status), pod_amounts(spec, "limits", status)
    usage: Usage = {"pods": _ONE}
    for name, amount in requests.items():
        usage[f"requests.{name}"] = amount
        if name in COMPUTE or name.startswith("hugepages-"):
            usage[name] = amount
    for name, amount in limits.items():
        usage[f"limits.{name}"] = amount
    return usage


def _claim_usage(claim: Object) -> Usage:
    storage_class = meta.annotations(claim).get(_OLD_CLASS) or meta.dig(claim, "spec", "storageClassName")
    prefix = f"{storage_class}.storageclass.storage.k8s.io"
    usage: Usage = {f"{prefix}/persistentvolumeclaims": _ONE} if storage_class else {}
    asked = meta.dig(claim, "spec", "resources", "requests", "storage")
    if asked is None:
        return usage
    # While a claim is being resized, the larger size counts; always in whole bytes.
    allocated = meta.dig(claim, "status", "allocatedResources", "storage", default="0")
    size = max(parse(asked), parse(allocated))
    size = Quantity(size.value() * 10**9, size.format)
    usage["requests.storage"] = size
    if storage_class:
        usage[f"{prefix}/requests.storage"] = size
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
    names = attributes_classes(claim)
    return any(_operator(expression, str(name)) for name in names) if names else _operator(expression, "")


def attributes_classes(claim: Object) -> set[str]:
    """Return the VolumeAttributesClasses that a claim has, wants or is on its way to."""
    names = {
        meta.dig(claim, "spec", "volumeAttributesClassName"),
        meta.dig(claim, "status", "currentVolumeAttributesClassName"),
        meta.dig(claim, "status", "modifyVolumeStatus", "targetVolumeAttributesClassName"),
    }
    return names - {None, ""}


def is_terminating(pod: Object) -> bool:
    """Tell whether the pod is one that ends by itself at some time, in the words of scopes."""
    deadline_s = (pod.get("spec") or {}).get("activeDeadlineSeconds")
    return deadline_s is not None and deadline_s >= 0


def overdue_s(pod: Object, now: datetime) -> float | None:
    """Return since when a pod should be gone, in seconds (negative: until then); None: it is to stay.

    Such a pod is not counted: its node may be lost, and nobody there to confirm its end.
    """
    metadata = meta.metadata(pod)
    grace_s = metadata.get("deletionGracePeriodSeconds")
    if not meta.deleting(pod) or grace_s is None:
        return None
    end = parse_rfc3339(metadata["deletionTimestamp"]) + timedelta(seconds=grace_s)
    return (now - end).total_seconds()


def _in_scope(scope: str, pod: Object) -> bool:
    spec = pod.get("spec") or {}
    match scope:
        case "Terminating":
            return is_terminating(pod)
        case "NotTerminating":
            return not is_terminating(pod)
        case "BestEffort":
            return _best_effort(pod)
        case "NotBestEffort":
            return not _best_effort(pod)
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


def _best_effort(pod: Object) -> bool:
    given = meta.dig(pod, "status", "qosClass") or qos_class(pod.get("spec") or {})
    return bool(given == "BestEffort")
