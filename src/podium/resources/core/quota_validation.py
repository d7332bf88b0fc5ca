"""What is wrong with resource quotas and limit ranges."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, objects, parse_quantity, spec_of
from podium.resources.core import resource_names
from podium.resources.defaulting import given

_POD_SCOPES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_SCOPES = (*_POD_SCOPES, "PriorityClass", "VolumeAttributesClass")
_COMPUTE = (
    "cpu",
    "memory",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
)
_OPPOSITES = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_MUST_EXIST = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
    "ResourceQuotaScopeCrossNamespacePodAffinity"
)
_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")


def validate_quota(quota: Object) -> Errors:
    """Check a ResourceQuota."""
    spec = spec_of(quota)
    errors = _amounts(spec.get("hard") or {}, "spec.hard")
    errors += _scopes(spec)
    selector = given(spec, "scopeSelector")
    if selector is not None:
        errors += _scope_selector(selector, spec)
    return errors


def validate_quota_update(new: Object, old: Object) -> Errors:
    """Check a changed ResourceQuota: its scopes stay."""
    errors = validate_quota(new)
    scopes = spec_of(new).get("scopes") or []
    if set(scopes) != set(spec_of(old).get("scopes") or []):
        errors.append(FieldError.invalid("spec.scopes", scopes or None, "field is immutable"))
    return errors


def validate_quota_status(new: Object, _old: Object) -> Errors:
    """Check a ResourceQuota's status."""
    status = given(new, "status") or {}
    return _amounts(status.get("hard") or {}, "status.hard") + _amounts(
        status.get("used") or {}, "status.used"
    )


def _amounts(amounts: Object, path: str) -> Errors:
    errors: Errors = []
    for name, value in sorted(amounts.items()):
        here = f"{path}[{name}]"
        errors += resource_names.name_errors(here, name)
        if "/" not in name and not _is_quota_name(name):
            errors.append(FieldError.invalid(here, name, "must be a standard resource for quota"))
        errors += resource_names.quantity_errors(here, name, value)
    return errors


def _is_quota_name(name: str) -> bool:
    return name in resource_names.QUOTA or name.startswith(
        (resource_names.HUGE_PAGES, resource_names.REQUESTS_PREFIX + resource_names.HUGE_PAGES)
    )


def _fits(scope: str, name: str) -> bool:
    """Say whether a scope makes sense for a resource."""
    if scope in ("BestEffort",):
        return name == "pods"
    if scope in _SCOPES and scope != "VolumeAttributesClass":
        return name == "pods" or name in _COMPUTE or "ephemeral-storage" in name
    return True


def _scopes(spec: Object) -> Errors:
    scopes = spec.get("scopes") or []
    errors: Errors = []
    for scope in scopes:
        if scope not in _SCOPES:
            errors.append(FieldError.invalid("spec.scopes", scopes, "unsupported scope"))
        errors += [
            FieldError.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
            for name in sorted(spec.get("hard") or {})
            if _is_quota_name(name) and not _fits(scope, name)
        ]
    return errors + _conflicts(scopes, scopes)


def _conflicts(scopes: list[str], shown: object) -> Errors:
    return [
        FieldError.invalid("spec.scopes", shown, "conflicting scopes")
        for pair in _OPPOSITES
        if set(pair) <= set(scopes)
    ]


def _scope_selector(selector: Object, spec: Object) -> Errors:
    errors: Errors = []
    path = "spec.scopeSelector.matchExpressions"
    requirements = objects(selector.get("matchExpressions"))
    for requirement in requirements:
        scope, operator = requirement.get("scopeName") or "", requirement.get("operator") or ""
        values = requirement.get("values") or []
        if scope not in _SCOPES:
            errors.append(FieldError.invalid(f"{path}.scopeName", scope, "unsupported scope"))
        errors += [
            FieldError.invalid(path, selector, "unsupported scope applied to resource")
            for name in sorted(spec.get("hard") or {})
            if _is_quota_name(name) and not _fits(scope, name)
        ]
        if scope in _POD_SCOPES and operator != "Exists":
            errors.append(FieldError.invalid(f"{path}.operator", operator, _MUST_EXIST))
        if operator in ("In", "NotIn"):
            if not values:
                detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(FieldError.required(f"{path}.values", detail))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(FieldError.invalid(f"{path}.values", values, detail))
        else:
            errors.append(FieldError.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    names = [str(requirement.get("scopeName")) for requirement in requirements]
    return errors + _conflicts(names, spec.get("scopes"))


def validate_limit_range(limit_range: Object) -> Errors:
    """Check a LimitRange."""
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(objects(spec_of(limit_range).get("limits"))):
        path = f"spec.limits[{index}]"
        kind = str(item.get("type") or "")
        if "/" not in kind and kind not in _LIMIT_TYPES:
            detail = "must be a standard limit type or fully qualified"
            errors.append(FieldError.invalid(f"{path}.type", kind, detail))
        if kind in seen:
            errors.append(FieldError.duplicate(f"{path}.type", kind))
        seen.add(kind)
        errors += _limit_item(item, kind, path)
    return errors


def _limit_item(item: Object, kind: str, path: str) -> Errors:
    rule = (
        resource_names.container_name_errors if kind in ("Pod", "Container") else resource_names.name_errors
    )
    errors: Errors = []
    names: set[str] = set()
    for key in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        amounts = item.get(key) or {}
        if kind == "Pod" and key.startswith("default"):
            if amounts:
                detail = "may not be specified when `type` is 'Pod'"
                errors.append(FieldError.forbidden(f"{path}.{key}", detail))
            continue
        if key == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim":
            errors += _storage_bound(item, path)
        for name in sorted(amounts):
            errors += rule(f"{path}.{key}[{name}]", name)
            names.add(name)
    for name in sorted(names):
        errors += _limit_order(item, name, path)
    return errors


def _storage_bound(item: Object, path: str) -> Errors:
    if "storage" in (item.get("min") or {}) or "storage" in (item.get("max") or {}):
        return []
    detail = "either minimum or maximum storage value is required, but neither was provided"
    return [FieldError.required(f"{path}.limits", detail)]


# (field blamed, lesser, its name, greater, its name): whichever of the two is blamed is shown as the value.
_ORDER = (
    ("min", "min", "min", "max", "max"),
    ("defaultRequest", "min", "min", "defaultRequest", "default request"),
    ("defaultRequest", "defaultRequest", "default request", "max", "max"),
    ("defaultRequest", "defaultRequest", "default request", "default", "default limit"),
    ("default", "min", "min", "default", "default"),
    ("default", "default", "default", "max", "max"),
)


def _limit_order(item: Object, name: str, path: str) -> Errors:
    errors: Errors = []
    for blamed, low, low_name, high, high_name in _ORDER:
        lesser, greater = (item.get(low) or {}).get(name), (item.get(high) or {}).get(name)
        if lesser is None or greater is None or parse_quantity(lesser) <= parse_quantity(greater):
            continue
        detail = f"{low_name} value {lesser} is greater than {high_name} value {greater}"
        shown = (item.get(blamed) or {}).get(name)
        errors.append(FieldError.invalid(f"{path}.{blamed}[{name}]", str(shown), detail))
    ratio = (item.get("maxLimitRequestRatio") or {}).get(name)
    if ratio is not None:
        errors += _ratio(item, name, ratio, f"{path}.maxLimitRequestRatio[{name}]")
    return errors


def _ratio(item: Object, name: str, ratio: object, path: str) -> Errors:
    errors: Errors = []
    amount = parse_quantity(ratio)
    if amount.milli() < 1000:
        errors.append(FieldError.invalid(path, str(ratio), f"ratio {ratio} is less than 1"))
    low, high = (item.get("min") or {}).get(name), (item.get("max") or {}).get(name)
    if low is not None and high is not None and parse_quantity(low).nanos:
        greatest = parse_quantity(high).nanos / parse_quantity(low).nanos
        if amount.milli() / 1000 > greatest:
            detail = f"ratio {ratio} is greater than max/min = {greatest:f}"
            errors.append(FieldError.invalid(path, str(ratio), detail))
    return errors
