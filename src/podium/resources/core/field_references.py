"""References from a pod to its own fields and to what its containers may use."""

from __future__ import annotations

from podium.machinery import quantity, validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, parse_quantity

RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_SUBSCRIPTED = ("metadata.annotations", "metadata.labels")
_KNOWN = (
    *_SUBSCRIPTED,
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
)
"""What upstream's pods can be asked for; not all of it everywhere."""
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_OF_SIZES = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}


def object_field(selector: Object, path: str, allowed: tuple[str, ...]) -> Errors:
    """Check a fieldRef against the fields that may be named where it stands."""
    where = str(selector.get("fieldPath") or "")
    if not selector.get("apiVersion"):
        return [FieldError.required(f"{path}.apiVersion")]
    if not where:
        return [FieldError.required(f"{path}.fieldPath")]
    head, bracket, rest = where.partition("['")
    subscripted = bool(bracket) and rest.endswith("']")
    unknown = ""
    if selector["apiVersion"] != "v1":
        unknown = f"unsupported pod version: {selector['apiVersion']}"
    elif subscripted and head not in _SUBSCRIPTED:
        unknown = f"field label does not support subscript: {where}"
    elif not subscripted and where not in _KNOWN:
        unknown = f"field label not supported: {where}"
    if unknown:
        detail = f"error converting fieldPath: {unknown}"
        return [FieldError.invalid(f"{path}.fieldPath", where, detail)]
    if subscripted:
        # Upstream names the selector here, not its path.
        key = rest[:-2]
        return named(path, key.lower() if head == _SUBSCRIPTED[0] else key, validation.qualified_name_errors)
    where = "spec.nodeName" if where == "spec.host" else where
    if where not in allowed:
        return [FieldError.not_supported(f"{path}.fieldPath", where, sorted(allowed))]
    return []


def resource_field(reference: Object, path: str, *, of_any_container: bool = False) -> Errors:
    """Check a resourceFieldRef; `of_any_container`: it has to say of which."""
    errors: Errors = []
    resource = str(reference.get("resource") or "")
    if of_any_container and not reference.get("containerName"):
        errors.append(FieldError.required(f"{path}.containerName"))
    elif not resource:
        errors.append(FieldError.required(f"{path}.resource"))
    elif resource not in RESOURCES and not resource.startswith(_HUGE_PAGES):
        errors.append(FieldError.not_supported(f"{path}.resource", resource, RESOURCES))
    return errors + _divisor(resource, reference.get("divisor"), path)


def _divisor(resource: str, divisor: object, path: str) -> Errors:
    amount = parse_quantity(divisor or "0")
    if amount == quantity.ZERO:
        return []
    kind = resource.partition(".")[2]
    allowed: tuple[str, ...]
    if resource in RESOURCES and kind == "cpu":
        allowed, what = ("1m", "1"), "1m and 1 are supported with the cpu resource"
    elif resource in RESOURCES or resource.startswith(_HUGE_PAGES):
        allowed = _SIZES
        what = f"{', '.join(_SIZES)} are supported with the {_OF_SIZES.get(kind, 'hugepages')} resource"
    else:
        return []
    if str(divisor) in allowed:
        return []
    return [FieldError.invalid(f"{path}.divisor", resource, f"only divisor's values {what}")]
