"""What is wrong with rules about where pods go: affinity, node selectors, topology spread."""

from __future__ import annotations

from collections import Counter

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.checks import Errors, named, objects
from podium.resources.defaulting import given

_WEIGHT = "must be in the range 1-100"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSION = ("Honor", "Ignore")


def validate_affinity(affinity: Object | None, path: str) -> Errors:
    """Check node affinity, pod affinity and pod anti-affinity."""
    if affinity is None:
        return []
    errors: Errors = []
    node = given(affinity, "nodeAffinity")
    if node is not None:
        errors += _node_affinity(node, f"{path}.nodeAffinity")
    for key in ("podAffinity", "podAntiAffinity"):
        pod = given(affinity, key)
        if pod is not None:
            errors += _pod_affinity(pod, f"{path}.{key}")
    return errors


def _node_affinity(affinity: Object, path: str) -> Errors:
    errors: Errors = []
    required = given(affinity, _REQUIRED)
    if required is not None:
        errors += validate_node_selector(required, f"{path}.{_REQUIRED}")
    for index, preferred in enumerate(objects(affinity.get(_PREFERRED))):
        here = f"{path}.{_PREFERRED}[{index}]"
        weight = preferred.get("weight") or 0
        if not 1 <= weight <= 100:
            errors.append(FieldError.invalid(f"{here}.weight", weight, _WEIGHT))
        # What no node can have merely makes nodes no better.
        errors += _term(given(preferred, "preference") or {}, f"{here}.preference", any_values=True)
    return errors


def validate_node_selector(selector: Object, path: str, *, any_values: bool = False) -> Errors:
    """Check a selector of nodes: terms of which one must match; `any_values`: of whatever labels."""
    terms = objects(selector.get("nodeSelectorTerms"))
    here = f"{path}.nodeSelectorTerms"
    if not terms:
        return [FieldError.required(here, "must have at least one node selector term")]
    errors: Errors = []
    for index, term in enumerate(terms):
        errors += _term(term, f"{here}[{index}]", any_values=any_values)
    return errors


def has_impossible_values(selector: Object | None) -> bool:
    """Say whether a selector of nodes names values that no label can have."""
    return any(
        validation.label_value_errors(str(value))
        for term in objects((selector or {}).get("nodeSelectorTerms"))
        for requirement in objects(term.get("matchExpressions"))
        for value in requirement.get("values") or ()
    )


def _term(term: Object, path: str, *, any_values: bool = False) -> Errors:
    errors: Errors = []
    for index, requirement in enumerate(objects(term.get("matchExpressions"))):
        here = f"{path}.matchExpressions[{index}]"
        errors += _operator(requirement, here)
        errors += named(f"{here}.key", str(requirement.get("key") or ""), validation.qualified_name_errors)
        for value_index, value in enumerate(() if any_values else requirement.get("values") or ()):
            errors += named(f"{here}.values[{value_index}]", value, validation.label_value_errors)
    for index, requirement in enumerate(objects(term.get("matchFields"))):
        errors += _field_requirement(requirement, f"{path}.matchFields[{index}]")
    return errors


def _operator(requirement: Object, path: str) -> Errors:
    values = requirement.get("values") or []
    match requirement.get("operator") or "":
        case "In" | "NotIn":
            if not values:
                detail = "must be specified when `operator` is 'In' or 'NotIn'"
                return [FieldError.required(f"{path}.values", detail)]
        case "Exists" | "DoesNotExist":
            if values:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                return [FieldError.forbidden(f"{path}.values", detail)]
        case "Gt" | "Lt":
            if len(values) != 1:
                detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                return [FieldError.required(f"{path}.values", detail)]
        case other:
            return [FieldError.invalid(f"{path}.operator", other, "not a valid selector operator")]
    return []


def _field_requirement(requirement: Object, path: str) -> Errors:
    errors: Errors = []
    operator, values = requirement.get("operator") or "", requirement.get("values") or []
    if operator not in ("In", "NotIn"):
        errors.append(FieldError.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(FieldError.required(f"{path}.values", detail))
    if requirement.get("key") != "metadata.name":
        key = requirement.get("key") or ""
        errors.append(FieldError.invalid(f"{path}.key", key, "not a valid field selector key"))
    else:
        for index, value in enumerate(values):
            errors += named(f"{path}.values[{index}]", value, validation.dns1123_subdomain_errors)
    return errors


def _pod_affinity(affinity: Object, path: str) -> Errors:
    errors: Errors = []
    for index, term in enumerate(objects(affinity.get(_REQUIRED))):
        errors += _pod_term(term, f"{path}.{_REQUIRED}[{index}]")
    for index, preferred in enumerate(objects(affinity.get(_PREFERRED))):
        here = f"{path}.{_PREFERRED}[{index}]"
        weight = preferred.get("weight") or 0
        if not 1 <= weight <= 100:
            errors.append(FieldError.invalid(f"{here}.weight", weight, _WEIGHT))
        errors += _pod_term(given(preferred, "podAffinityTerm") or {}, f"{here}.podAffinityTerm")
    return errors


def _pod_term(term: Object, path: str) -> Errors:
    errors: Errors = []
    for key in ("labelSelector", "namespaceSelector"):
        errors += validation.validate_label_selector(given(term, key), f"{path}.{key}")
    for namespace in term.get("namespaces") or ():
        errors += named(f"{path}.namespace", namespace, validation.dns1123_label_errors)
    errors += _label_keys(term, path)
    topology = str(term.get("topologyKey") or "")
    if not topology:
        errors.append(FieldError.required(f"{path}.topologyKey", "can not be empty"))
    return errors + named(f"{path}.topologyKey", topology, validation.qualified_name_errors)


def _label_keys(term: Object, path: str) -> Errors:
    """Check the keys that narrow a selector. What they stand for is a part of it already."""
    selector = given(term, "labelSelector")
    keys = {field: list(term.get(field) or ()) for field in ("matchLabelKeys", "mismatchLabelKeys")}
    errors: Errors = []
    for field, names in keys.items():
        if names and selector is None:
            detail = "must not be specified when labelSelector is not set"
            errors.append(FieldError.forbidden(f"{path}.{field}", detail))
            continue
        for index, name in enumerate(names):
            errors += named(f"{path}.{field}[{index}]", name, validation.qualified_name_errors)
    matched = keys["matchLabelKeys"]
    selected = set((selector or {}).get("matchLabels") or ())
    for requirement in objects((selector or {}).get("matchExpressions")):
        key = requirement.get("key")
        if key in matched and key in selected:
            detail = "exists in both matchLabelKeys and labelSelector"
            # Upstream's error leaves the field's name out.
            errors.append(FieldError.invalid(f"{path}[{matched.index(key)}]", key, detail))
        selected.add(key)
    for index, name in enumerate(matched):
        if name in keys["mismatchLabelKeys"]:
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(FieldError.invalid(f"{path}.matchLabelKeys[{index}]", name, detail))
    return errors


def validate_spread_constraints(spec: Object, path: str) -> Errors:
    """Check the topology spread constraints of a pod's spec."""
    errors: Errors = []
    constraints = objects(spec.get("topologySpreadConstraints"))
    left = Counter(map(_target, constraints))
    for index, constraint in enumerate(constraints):
        here = f"{path}[{index}]"
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            errors.append(FieldError.invalid(f"{here}.maxSkew", skew, "must be greater than zero"))
        topology = str(constraint.get("topologyKey") or "")
        if not topology:
            errors.append(FieldError.required(f"{here}.topologyKey", "can not be empty"))
        when = constraint.get("whenUnsatisfiable") or ""
        if when not in _UNSATISFIABLE:
            errors.append(FieldError.not_supported(f"{here}.whenUnsatisfiable", when, _UNSATISFIABLE))
        left[_target(constraint)] -= 1
        if left[_target(constraint)]:
            key = f"{{{topology}, {when}}}"
            errors.append(FieldError.duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", key))
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errors.append(FieldError.invalid(f"{here}.minDomains", domains, "must be greater than zero"))
            if when != "DoNotSchedule":
                detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
                errors.append(FieldError.invalid(f"{here}.minDomains", domains, detail))
        for key in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(key)
            if policy is not None and policy not in _INCLUSION:
                errors.append(FieldError.not_supported(f"{here}.{key}", policy, _INCLUSION))
        errors += _label_keys(constraint, here)
        errors += validation.validate_label_selector(
            given(constraint, "labelSelector"), f"{here}.labelSelector"
        )
    return errors


def _target(constraint: Object) -> tuple[Json, Json]:
    return constraint.get("topologyKey"), constraint.get("whenUnsatisfiable")
