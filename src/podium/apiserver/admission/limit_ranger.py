"""LimitRanger: a namespace's limit ranges fill in what pods leave open, and refuse what goes beyond them."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused, spec_of
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.amounts import Amounts, amounts, pod_amounts
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, Quantity
from podium.resources.core.limitranges import LIMITRANGES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS

ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    name = "LimitRanger"
    resources = (PODS, PERSISTENTVOLUMECLAIMS)

    def __init__(self, reader: Reader) -> None:
        self._ranges = reader.cached(LIMITRANGES)

    async def admit(self, attributes: Attributes) -> None:
        pod = _pod(attributes)
        if pod is not None:
            for limit_range in self._ranges.list(attributes.namespace):
                default_pod(limit_range, pod)

    async def validate(self, attributes: Attributes) -> None:
        pod = _pod(attributes)
        claim = concerns(attributes, PERSISTENTVOLUMECLAIMS, "CREATE", "UPDATE")
        if (pod is None and claim is None) or meta.deleting(attributes.old_object or {}):
            return
        for limit_range in self._ranges.list(attributes.namespace):
            errors: list[str] = []
            for limit in spec_of(dict(limit_range)).get("limits") or ():
                if pod is not None:
                    errors += pod_violations(limit, spec_of(pod))
                if claim is not None:
                    errors += claim_violations(limit, spec_of(claim))
            if errors:
                raise refused(attributes, _aggregated(errors))


def _pod(attributes: Attributes) -> Object | None:
    """Return a pod whose amounts are new: one that is created, or resized and to stay."""
    pod = concerns(attributes, PODS, "CREATE")
    if pod is None and not meta.deleting(attributes.old_object or {}):
        pod = concerns(attributes, PODS, "UPDATE", subresource="resize")
    return pod


def _aggregated(errors: list[str]) -> str:
    unique = list(dict.fromkeys(errors))
    return unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"


# --- defaults


def default_pod(limit_range: Object, pod: Object) -> None:
    """Fill in the requests and limits that the containers leave open; say so in an annotation."""
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for limit in spec_of(dict(limit_range)).get("limits") or ():
        if limit.get("type") == "Container":
            limits.update(limit.get("default") or {})
            requests.update(limit.get("defaultRequest") or {})
    if not limits and not requests:
        return
    notes: list[str] = []
    for kind, what in (("containers", "container"), ("initContainers", "init container")):
        for container in spec_of(pod).get(kind) or ():
            resources = container.get("resources") or {}
            # Requests first: a request that follows from a limit is not a default of the range.
            for part, defaults, word in (("requests", requests, "request"), ("limits", limits, "limit")):
                own = resources.get(part) or {}
                added = sorted(name for name in defaults if name not in own)
                if added:
                    resources[part] = {**own, **{name: defaults[name] for name in added}}
                    container["resources"] = resources
                    notes.append(f"{', '.join(added)} {word} for {what} {container.get('name', '')}")
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


# --- limits


def pod_violations(limit: Object, spec: Object) -> list[str]:
    """Return what one limit of a range finds wrong with a pod."""
    if limit.get("type") == "Container":
        containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        errors: list[str] = []
        for container in containers:
            resources = container.get("resources") or {}
            errors += violations(limit, amounts(resources.get("requests")), amounts(resources.get("limits")))
        return errors
    if limit.get("type") == "Pod":
        alone = {**spec, "overhead": None}  # what the sandbox costs is not the pod's affair here
        return violations(limit, pod_amounts(alone, "requests"), pod_amounts(alone, "limits"))
    return []


def claim_violations(limit: Object, spec: Object) -> list[str]:
    if limit.get("type") != "PersistentVolumeClaim":
        return []
    errors: list[str] = []
    requests = amounts(meta.dig(spec, "resources", "requests"))
    for name, enforced in amounts(limit.get("min")).items():
        errors += _below_minimum("PersistentVolumeClaim", name, enforced, requests, {})
    for name, enforced in amounts(limit.get("max")).items():
        request = requests.get(name)
        if request is None:
            errors.append(
                f"maximum {name} usage per PersistentVolumeClaim is {enforced}.  No request is specified"
            )
        elif enforced < request:
            errors.append(
                f"maximum {name} usage per PersistentVolumeClaim is {enforced}, but request is {request}"
            )
    return errors


def violations(limit: Object, requests: Amounts, limits: Amounts) -> list[str]:
    """Return the breaches of min, max and ratio, in this order."""
    kind = limit["type"]
    errors: list[str] = []
    for name, enforced in amounts(limit.get("min")).items():
        errors += _below_minimum(kind, name, enforced, requests, limits)
    for name, enforced in amounts(limit.get("max")).items():
        errors += _above_maximum(kind, name, enforced, requests, limits)
    for name, enforced in amounts(limit.get("maxLimitRequestRatio")).items():
        errors += _above_ratio(kind, name, enforced, requests, limits)
    return errors


def _below_minimum(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> list[str]:
    request, limit = requests.get(name), limits.get(name)
    if request is None:
        return [f"minimum {name} usage per {kind} is {enforced}.  No request is specified"]
    if request < enforced:
        return [f"minimum {name} usage per {kind} is {enforced}, but request is {request}"]
    if limit is not None and limit < enforced:
        return [f"minimum {name} usage per {kind} is {enforced}, but limit is {limit}"]
    return []


def _above_maximum(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> list[str]:
    request, limit = requests.get(name), limits.get(name)
    if limit is None:
        return [f"maximum {name} usage per {kind} is {enforced}.  No limit is specified"]
    if enforced < limit:
        return [f"maximum {name} usage per {kind} is {enforced}, but limit is {limit}"]
    if request is not None and enforced < request:
        return [f"maximum {name} usage per {kind} is {enforced}, but request is {request}"]
    return []


def _above_ratio(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> list[str]:
    request, limit = requests.get(name, ZERO), limits.get(name, ZERO)
    head = f"{name} max limit to request ratio per {kind} is {enforced}, but"
    if not request:
        return [f"{head} no request is specified or request is 0"]
    if not limit:
        return [f"{head} no limit is specified or limit is 0"]
    if enforced.nanos * request.nanos < limit.nanos * 10**9:
        return [f"{head} provided ratio is {limit.nanos / request.nanos:.6f}"]
    return []
