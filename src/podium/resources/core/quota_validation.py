"""What is wrong with resource quotas and limit ranges."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.machinery.validation import qualified_name_errors
from podium.resources.checks import Errors, named, objects, parse_quantity, spec_of
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
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return scope not in _SCOPES or name == "pods" or name in _COMPUTE


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
    return errors + _conflicts("spec.scopes", scopes, scopes)


def _conflicts(path: str, scopes: list[str], shown: object) -> Errors:
    return [
        FieldError.invalid(path, shown, "conflicting scopes")
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
    return errors + _conflicts(path, names, spec.get("scopes"))


def validate_limit_range(limit_range: Object) -> Errors:
    """Check a LimitRange."""
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(objects(spec_of(limit_range).get("limits"))):
        path = f"spec.limits[{index}]"
        kind = str(item.get("type") or "")
        misnamed = named(f"{path}.type", kind, qualified_name_errors)
        if not misnamed and "/" not in kind and kind not in _LIMIT_TYPES:
            detail = "must be a standard limit type or fully qualified"
            misnamed.append(FieldError.invalid(f"{path}.type", kind, detail))
        errors += misnamed
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
    if kind == "Pod":
        item = {key: value for key, value in item.items() if not key.startswith("default")}
    for name in sorted(names):
        errors += _limit_order(item, name, path)
    return errors


def _storage_bound(item: Object, path: str) -> Errors:
    if "storage" in (item.get("min") or {}) or "storage" in (item.get("max") or {}):
        return []
    detail = "either minimum or maximum storage value is required, but neither was provided"
    return [FieldError.required(f"{path}.limits", detail)]


# (field blamed, whose value is shown, lesser, its name, greater, its name)
_ORDER = (
    ("min", "min", "min", "min", "max", "max"),
    ("defaultRequest", "defaultRequest", "min", "min", "defaultRequest", "default request"),
    ("defaultRequest", "defaultRequest", "defaultRequest", "default request", "max", "max"),
    ("defaultRequest", "defaultRequest", "defaultRequest", "default request", "default", "default limit"),
    ("default", "min", "min", "min", "default", "default"),
    ("default", "max", "default", "default", "max", "max"),
)


def _limit_order(item: Object, name: str, path: str) -> Errors:
    errors: Errors = []
    for blamed, named_value, low, low_name, high, high_name in _ORDER:
        lesser, greater = (item.get(low) or {}).get(name), (item.get(high) or {}).get(name)
        if lesser is None or greater is None or parse_quantity(lesser) <= parse_quantity(greater):
            continue
        detail = f"{low_name} value {lesser} is greater than {high_name} value {greater}"
        shown = (item.get(named_value) or {}).get(name)
        errors.append(FieldError.invalid(f"{path}.{blamed}[{name}]", str(shown), detail))
    ratio = (item.get("maxLimitRequestRatio") or {}).get(name)
    if ratio is not None:
        errors += _ratio(item, name, ratio, f"{path}.maxLimitRequestRatio[{name}]")
    default, request = ((item.get(key) or {}).get(name) for key in ("default", "defaultRequest"))
    if default is None or request is None or resource_names.overcommit_allowed(name):
        return errors
    if parse_quantity(default) != parse_quantity(request):
        detail = f"default value {default} must equal to defaultRequest value {request} in {name}"
        errors.append(FieldError.invalid(f"{path}.defaultRequest[{name}]", str(request), detail))
    return errors


def _ratio(item: Object, name: str, ratio: object, path: str) -> Errors:
    errors: Errors = []
    amount = parse_quantity(ratio)
    if amount.milli() < 1000:
        errors.append(FieldError.invalid(path, str(ratio), f"ratio {ratio} is less than 1"))
    low, high = (item.get("min") or {}).get(name), (item.get("max") or {}).get(name)
    if low is not None and high is not None and parse_quantity(low).milli():
        greatest = parse_quantity(high).milli() / parse_quantity(low).milli()
        if amount.milli() / 1000 > greatest:
            detail = f"ratio {ratio} is greater than max/min = {greatest:f}"
            errors.append(FieldError.invalid(path, str(ratio), detail))
    return errors
