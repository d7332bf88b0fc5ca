"""What is wrong with roles and bindings of both scopes, on create and on update."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, objects
from podium.resources.defaulting import given
from podium.resources.rbac.defaults import GROUP

_ROLE_KINDS = ("Role", "ClusterRole")
_SUBJECT_KINDS = ("ServiceAccount", "User", "Group")


def validate_role(role: Object) -> Errors:
    """Check a Role: rules about resources in its namespace."""
    return _rules(role, namespaced=True)


def validate_cluster_role(role: Object) -> Errors:
    """Check a ClusterRole: rules about resources and URLs, and which other roles it collects."""
    errors: Errors = []
    if role.get("rules"):
        errors += _rules(role, namespaced=False)
    aggregation = given(role, "aggregationRule")
    if aggregation is not None:
        selectors = objects(aggregation.get("clusterRoleSelectors"))
        path = "aggregationRule.clusterRoleSelectors"
        if not selectors:
            detail = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            errors.append(FieldError.required(path, detail))
        for index, selector in enumerate(selectors):
            here = f"{path}[{index}]"
            wrong = validation.validate_label_selector(selector, here)
            errors += wrong
            if wrong:
                errors.append(FieldError.invalid(here, None, "invalid label selector."))
    return errors


def _rules(role: Object, *, namespaced: bool) -> Errors:
    errors: Errors = []
    for index, rule in enumerate(objects(role.get("rules"))):
        errors += _rule(rule, f"rules[{index}]", namespaced=namespaced)
    return errors


def _rule(rule: Object, path: str, *, namespaced: bool) -> Errors:
    errors: Errors = []
    if not rule.get("verbs"):
        errors.append(FieldError.required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        here = f"{path}.nonResourceURLs"
        if namespaced:
            detail = "namespaced rules cannot apply to non-resource URLs"
            errors.append(FieldError.invalid(here, urls, detail))
        if any(rule.get(key) for key in ("apiGroups", "resources", "resourceNames")):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(FieldError.invalid(here, urls, detail))
        return errors
    if not rule.get("apiGroups"):
        detail = "resource rules must supply at least one api group"
        errors.append(FieldError.required(f"{path}.apiGroups", detail))
    if not rule.get("resources"):
        detail = "resource rules must supply at least one resource"
        errors.append(FieldError.required(f"{path}.resources", detail))
    return errors


def validate_role_binding(binding: Object) -> Errors:
    """Check a RoleBinding."""
    return _binding(binding, _ROLE_KINDS, namespaced=True)


def validate_cluster_role_binding(binding: Object) -> Errors:
    """Check a ClusterRoleBinding."""
    return _binding(binding, ("ClusterRole",), namespaced=False)


def _binding(binding: Object, kinds: tuple[str, ...], *, namespaced: bool) -> Errors:
    errors: Errors = []
    role = given(binding, "roleRef") or {}
    group, kind, name = (str(role.get(key) or "") for key in ("apiGroup", "kind", "name"))
    if group != GROUP:
        errors.append(FieldError.not_supported("roleRef.apiGroup", group, (GROUP,)))
    if kind not in kinds:
        errors.append(FieldError.not_supported("roleRef.kind", kind, kinds))
    if not name:
        errors.append(FieldError.required("roleRef.name"))
    else:
        errors += named("roleRef.name", name, validation.path_segment_errors)
    for index, subject in enumerate(objects(binding.get("subjects"))):
        errors += _subject(subject, f"subjects[{index}]", namespaced=namespaced)
    return errors


def _subject(subject: Object, path: str, *, namespaced: bool) -> Errors:
    errors: Errors = []
    kind, name = str(subject.get("kind") or ""), str(subject.get("name") or "")
    group = str(subject.get("apiGroup") or "")
    if not name:
        errors.append(FieldError.required(f"{path}.name"))
    match kind:
        case "ServiceAccount":
            if name:
                errors += named(f"{path}.name", name, validation.dns1123_subdomain_errors)
            if group:
                errors.append(FieldError.not_supported(f"{path}.apiGroup", group, ("",)))
            if not namespaced and not subject.get("namespace"):
                errors.append(FieldError.required(f"{path}.namespace"))
        case "User" | "Group":
            if group != GROUP:
                errors.append(FieldError.not_supported(f"{path}.apiGroup", group, (GROUP,)))
        case _:
            errors.append(FieldError.not_supported(f"{path}.kind", kind, _SUBJECT_KINDS))
    return errors


def _same_role(new: Object, old: Object) -> Errors:
    if given(new, "roleRef") == given(old, "roleRef"):
        return []
    return [FieldError.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")]


def validate_role_binding_update(new: Object, old: Object) -> Errors:
    """Check a changed RoleBinding: what it grants cannot change, only to whom."""
    return validate_role_binding(new) + _same_role(new, old)


def validate_cluster_role_binding_update(new: Object, old: Object) -> Errors:
    """Check a changed ClusterRoleBinding: what it grants cannot change, only to whom."""
    return validate_cluster_role_binding(new) + _same_role(new, old)
