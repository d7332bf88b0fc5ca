"""What is wrong with flow schemas and priority levels."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, objects, spec_of
from podium.resources.defaulting import given

PRECEDENCE_MAX = 10000
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = ("Group", "ServiceAccount", "User")


def validate_schema(schema: Object) -> Errors:
    """Check a FlowSchema."""
    spec = spec_of(schema)
    errors: Errors = []
    precedence = spec.get("matchingPrecedence") or 0
    if precedence <= 0:
        errors.append(FieldError.invalid("spec.matchingPrecedence", precedence, "must be a positive value"))
    if precedence > PRECEDENCE_MAX:
        detail = f"must not be greater than {PRECEDENCE_MAX}"
        errors.append(FieldError.invalid("spec.matchingPrecedence", precedence, detail))
    method = given(spec, "distinguisherMethod")
    methods = ("ByNamespace", "ByUser")
    if method is not None and method.get("type") not in methods:
        path = "spec.distinguisherMethod"
        errors.append(FieldError.not_supported(path, method.get("type") or "", methods))
    name = str((given(spec, "priorityLevelConfiguration") or {}).get("name") or "")
    path = "spec.priorityLevelConfiguration.name"
    if not name:
        errors.append(FieldError.required(path, "must reference a priority level"))
    else:
        errors += named(path, name, validation.dns1123_subdomain_errors)
    for index, rule in enumerate(objects(spec.get("rules"))):
        errors += _rule(rule, f"spec.rules[{index}]")
    return errors


def _rule(rule: Object, path: str) -> Errors:
    errors: Errors = []
    subjects = objects(rule.get("subjects"))
    if not subjects:
        detail = "subjects must contain at least one value"
        errors.append(FieldError.required(f"{path}.subjects", detail))
    for index, subject in enumerate(subjects):
        kind = subject.get("kind") or ""
        if kind not in _SUBJECTS:
            here = f"{path}.subjects[{index}].kind"
            errors.append(FieldError.not_supported(here, kind, _SUBJECTS))
    resources, others = objects(rule.get("resourceRules")), objects(rule.get("nonResourceRules"))
    if not resources and not others:
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.append(FieldError.required(path, detail))
    for index, resource in enumerate(resources):
        errors += _resource_rule(resource, f"{path}.resourceRules[{index}]")
    for index, other in enumerate(others):
        here = f"{path}.nonResourceRules[{index}]"
        if not other.get("verbs"):
            errors.append(FieldError.required(f"{here}.verbs", "verbs must contain at least one value"))
        if not other.get("nonResourceURLs"):
            detail = "nonResourceURLs must contain at least one value"
            errors.append(FieldError.required(f"{here}.nonResourceURLs", detail))
    return errors


def _resource_rule(rule: Object, path: str) -> Errors:
    errors: Errors = []
    verbs = rule.get("verbs") or []
    if not verbs:
        errors.append(FieldError.required(f"{path}.verbs", "verbs must contain at least one value"))
    elif "*" in verbs:
        if len(verbs) > 1:
            detail = "if '*' is present, must not specify other verbs"
            errors.append(FieldError.invalid(f"{path}.verbs", verbs, detail))
    elif not set(verbs) <= set(_VERBS):
        errors.append(FieldError.not_supported(f"{path}.verbs", verbs, _VERBS))
    for key, what in (("apiGroups", "api group"), ("resources", "resource")):
        if not rule.get(key):
            detail = f"resource rules must supply at least one {what}"
            errors.append(FieldError.required(f"{path}.{key}", detail))
    if not rule.get("namespaces") and not rule.get("clusterScope"):
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(FieldError.required(f"{path}.namespaces", detail))
    return errors


def validate_level(level: Object) -> Errors:
    """Check a PriorityLevelConfiguration."""
    spec = spec_of(level)
    kind, limited, exempt = spec.get("type"), given(spec, "limited"), given(spec, "exempt")
    errors: Errors = []
    if kind == "Exempt":
        if limited is not None:
            detail = "must be nil if the type is not Limited"
            errors.append(FieldError.forbidden("spec.limited", detail))
        return errors
    if kind != "Limited":
        return [FieldError.not_supported("spec.type", kind or "", ("Exempt", "Limited"))]
    if exempt is not None:
        detail = "must be nil if the type is Limited"
        errors.append(FieldError.forbidden("spec.exempt", detail))
    if limited is None:
        errors.append(FieldError.required("spec.limited", "must not be empty when type is Limited"))
        return errors
    shares = limited.get("nominalConcurrencyShares") or 0
    if shares < 0:
        path = "spec.limited.nominalConcurrencyShares"
        errors.append(FieldError.invalid(path, shares, "must be a non-negative integer"))
    response = given(limited, "limitResponse") or {}
    path = "spec.limited.limitResponse"
    match response.get("type"):
        case "Reject":
            if given(response, "queuing") is not None:
                detail = "must be nil if limited.limitResponse.type is not Limited"
                errors.append(FieldError.forbidden(f"{path}.queuing", detail))
        case "Queue":
            if given(response, "queuing") is None:
                detail = "must not be empty if limited.limitResponse.type is Limited"
                errors.append(FieldError.required(f"{path}.queuing", detail))
        case other:
            errors.append(FieldError.not_supported(f"{path}.type", other or "", ("Queue", "Reject")))
    return errors
