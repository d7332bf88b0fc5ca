"""What is wrong with resources that a pod has as a whole, beside its containers' own."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.machinery.quantity import ZERO, Quantity
from podium.resources.checks import Errors, objects, parse_quantity
from podium.resources.core import resource_names
from podium.resources.core.container_validation import validate_resources
from podium.resources.core.pod_platform_validation import is_windows
from podium.resources.defaulting import given


def validate_pod_resources(spec: Object, path: str) -> Errors:
    """Check a pod's resources by themselves and against its containers'."""
    resources = given(spec, "resources")
    if resources is None:
        return []
    if is_windows(spec):
        return [FieldError.forbidden(path, "may not be set for a windows pod")]
    errors: Errors = []
    if resources.get("claims"):
        detail = "claims may not be set for Resources at pod-level"
        errors.append(FieldError.forbidden(f"{path}.claims", detail))
    errors += validate_resources(resources, path, name_errors=resource_names.pod_name_errors)
    return errors + _consistency(spec, resources, path)


def _consistency(spec: Object, resources: Object, path: str) -> Errors:
    requests, limits = given(resources, "requests") or {}, given(resources, "limits") or {}
    errors: Errors = []
    for name, amount in sorted(_aggregate(spec, "requests").items()):
        if name in requests and parse_quantity(requests[name]) < amount:
            detail = f"must be greater than or equal to aggregate container requests of {amount}"
            errors.append(FieldError.invalid(f"{path}.requests[{name}]", str(requests[name]), detail))
    for name, amount in sorted(_aggregate(spec, "limits").items()):
        huge = resource_names.is_huge_pages(name)
        if huge and name in limits and parse_quantity(limits[name]) < amount:
            detail = f"must be greater than or equal to aggregate container limits of {amount}"
            errors.append(FieldError.invalid(f"{path}.limits[{name}]", str(limits[name]), detail))
    for index, container in enumerate(objects(spec.get("containers"))):
        own = given(given(container, "resources") or {}, "limits") or {}
        for name, limit in sorted(own.items()):
            if name in limits and parse_quantity(limits[name]) < parse_quantity(limit):
                detail = f"must be less than or equal to pod limits of {limits[name]}"
                here = f"{path}.containers[{index}][{name}].limits"
                errors.append(FieldError.invalid(here, str(limit), detail))
    return errors


def _aggregate(spec: Object, key: str) -> dict[str, Quantity]:
    """Return what the containers need at most at one time: sidecars and containers together, or one init
    container with the sidecars before it."""

    def amounts(container: Object) -> dict[str, Quantity]:
        given_amounts = given(given(container, "resources") or {}, key) or {}
        return {name: parse_quantity(value) for name, value in given_amounts.items()}

    total: dict[str, Quantity] = {}
    for container in objects(spec.get("containers")):
        _add(total, amounts(container))
    sidecars: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for container in objects(spec.get("initContainers")):
        now = dict(sidecars)
        _add(now, amounts(container))
        if container.get("restartPolicy") == "Always":
            sidecars = now
            _add(total, amounts(container))
        for name, amount in now.items():
            peak[name] = max(peak.get(name, ZERO), amount)
    for name, amount in peak.items():
        total[name] = max(total.get(name, ZERO), amount)
    return total


def _add(total: dict[str, Quantity], amounts: dict[str, Quantity]) -> None:
    for name, amount in amounts.items():
        total[name] = total[name] + amount if name in total else amount
