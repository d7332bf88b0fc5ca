"""What is wrong with groups of pods and the workloads whose templates make them.

Fields behind feature gates are dropped before, while their gates are off.
"""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.checks import Errors, immutable, named, objects, required_name, spec_of
from podium.resources.defaulting import given

PRIORITY_MAX = 1_000_000_000
TEMPLATES_MAX = 8
CLAIMS_MAX = 4
TOPOLOGY_MAX = 1
_DISRUPTION_MODES = ("Pod", "PodGroup")
_GROUP_FIELDS = (
    "podGroupTemplateRef",
    "schedulingPolicy",
    "schedulingConstraints",
    "resourceClaims",
    "disruptionMode",
    "priorityClassName",
    "priority",
)


def _label_errors(text: str) -> list[str]:
    return validation.told_in_bytes(validation.dns1123_label_errors(text))


def _subdomain_errors(text: str) -> list[str]:
    return validation.told_in_bytes(validation.dns1123_subdomain_errors(text))


def validate_group(group: Object) -> Errors:
    """Check a PodGroup."""
    spec = spec_of(group)
    errors: Errors = []
    reference = given(spec, "podGroupTemplateRef")
    if reference is not None:
        errors += _reference(reference, "spec.podGroupTemplateRef")
    return errors + _group(spec, "spec")


def validate_group_update(new: Object, old: Object) -> Errors:
    """Check a changed PodGroup: all that it says stays."""
    errors: Errors = []
    for key in _GROUP_FIELDS:
        if (spec_of(new).get(key) or None) != (spec_of(old).get(key) or None):
            errors.append(FieldError.invalid(f"spec.{key}", None, validation.IMMUTABLE))
    return errors


def validate_group_status(new: Object, _old: Object) -> Errors:
    """Check what the scheduler says about a PodGroup."""
    status = given(new, "status") or {}
    errors = validation.validate_conditions(objects(status.get("conditions")), "status.conditions")
    claims = {claim.get("name") for claim in objects(spec_of(new).get("resourceClaims"))}
    statuses = objects(status.get("resourceClaimStatuses"))
    for index, claim in enumerate(statuses):
        path = f"status.resourceClaimStatuses[{index}]"
        if claim.get("name") not in claims:
            detail = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(FieldError.invalid(f"{path}.name", claim.get("name") or "", detail))
        if claim.get("resourceClaimName") is not None:
            name = str(claim["resourceClaimName"])
            errors += named(f"{path}.resourceClaimName", name, _subdomain_errors)
    return errors + _count("status.resourceClaimStatuses", statuses, CLAIMS_MAX)


def validate_workload(workload: Object) -> Errors:
    """Check a Workload."""
    spec = spec_of(workload)
    errors = _controller(given(spec, "controllerRef"))
    templates = objects(spec.get("podGroupTemplates"))
    if not templates:
        errors.append(FieldError.required("spec.podGroupTemplates"))
    too_many = _count("spec.podGroupTemplates", templates, TEMPLATES_MAX)
    if too_many:
        return errors + too_many
    errors += _unique("spec.podGroupTemplates", templates)
    for index, template in enumerate(templates):
        path = f"spec.podGroupTemplates[{index}]"
        errors += required_name(f"{path}.name", template.get("name"), _label_errors)
        errors += _group(template, path)
    return errors


def validate_workload_update(new: Object, old: Object) -> Errors:
    """Check a changed Workload: its templates and its controller stay, and are not looked at again."""
    spec, before = spec_of(new), spec_of(old)
    return [
        FieldError.invalid(f"spec.{key}", None, validation.IMMUTABLE)
        for key in ("controllerRef", "podGroupTemplates")
        if immutable(spec, before, key)
    ]


def _controller(controller: Object | None) -> Errors:
    errors: Errors = []
    if controller is None:
        return errors
    group = str(controller.get("apiGroup") or "")
    if group:
        errors += named("spec.controllerRef.apiGroup", group, _subdomain_errors)
    for key in ("kind", "name"):
        errors += required_name(
            f"spec.controllerRef.{key}", controller.get(key), validation.path_segment_errors
        )
    return errors


def _reference(reference: Object, path: str) -> Errors:
    workload = given(reference, "workload")
    if workload is None:
        return [FieldError.invalid(path, "", "must specify one of: `workload`")]
    return [
        *required_name(f"{path}.workload.workloadName", workload.get("workloadName"), _subdomain_errors),
        *required_name(
            f"{path}.workload.podGroupTemplateName",
            workload.get("podGroupTemplateName"),
            _label_errors,
        ),
    ]


def _group(spec: Object, path: str) -> Errors:
    errors = _policy(given(spec, "schedulingPolicy") or {}, f"{path}.schedulingPolicy")
    constraints = given(spec, "schedulingConstraints") or {}
    topology = objects(constraints.get("topology"))
    here = f"{path}.schedulingConstraints.topology"
    errors += _count(here, topology, TOPOLOGY_MAX)
    for index, constraint in enumerate(topology[:TOPOLOGY_MAX]):
        errors += required_name(
            f"{here}[{index}].key", constraint.get("key"), validation.qualified_name_errors
        )
    errors += _claims(objects(spec.get("resourceClaims")), f"{path}.resourceClaims")
    mode, priority = spec.get("disruptionMode"), spec.get("priority")
    if mode is not None and mode not in _DISRUPTION_MODES:
        errors.append(FieldError.not_supported(f"{path}.disruptionMode", mode, _DISRUPTION_MODES))
    class_name = str(spec.get("priorityClassName") or "")
    if class_name:
        errors += named(f"{path}.priorityClassName", class_name, _subdomain_errors)
    if priority is not None and priority > PRIORITY_MAX:
        detail = f"must be less than or equal to {PRIORITY_MAX}"
        errors.append(FieldError.invalid(f"{path}.priority", priority, detail))
    return errors


def _policy(policy: Object, path: str) -> Errors:
    errors = _one_of(policy, path, "basic", "gang")
    gang = given(policy, "gang")
    if gang is not None:
        least = gang.get("minCount") or 0
        if not least:
            errors.append(FieldError.required(f"{path}.gang.minCount"))
        elif least < 1:
            detail = "must be greater than or equal to 1"
            errors.append(FieldError.invalid(f"{path}.gang.minCount", least, detail))
    return errors


def _claims(claims: list[Object], path: str) -> Errors:
    too_many = _count(path, claims, CLAIMS_MAX)
    if too_many:
        return too_many
    errors = _unique(path, claims)
    for index, claim in enumerate(claims):
        here = f"{path}[{index}]"
        errors += _one_of(claim, here, "resourceClaimName", "resourceClaimTemplateName")
        errors += required_name(f"{here}.name", claim.get("name"), _label_errors)
        for key in ("resourceClaimName", "resourceClaimTemplateName"):
            if claim.get(key) is not None:
                errors += named(f"{here}.{key}", str(claim[key]), _subdomain_errors)
    return errors


def _one_of(obj: Object, path: str, *members: str) -> Errors:
    """Ask for exactly one member of a union."""
    found = [member for member in members if obj.get(member) is not None]
    if len(found) == 1:
        return []
    listed = ", ".join(f"`{member}`" for member in members)
    if not found:
        return [FieldError.invalid(path, "", f"must specify one of: {listed}")]
    shown = f"{{{', '.join(found)}}}"
    return [FieldError.invalid(path, shown, f"must specify exactly one of: {listed}")]


def _unique(path: str, values: list[Object]) -> Errors:
    errors: Errors = []
    seen: set[Json] = set()
    for index, value in enumerate(values):
        if value.get("name") in seen:
            errors.append(FieldError.duplicate(f"{path}[{index}]", _as_declared(value)))
        seen.add(value.get("name"))
    return errors


_DECLARED = (
    *("name", "resourceClaimName", "resourceClaimTemplateName"),
    *("schedulingPolicy", "schedulingConstraints", "resourceClaims"),
    *("disruptionMode", "priorityClassName", "priority"),
)
"""The fields of a claim, and those of a template of groups, in upstream's order."""


def _as_declared(value: Object) -> Object:
    """Return a claim or a template with its fields as upstream's errors show them."""
    shown: Object = {"name": "", **value}
    if "schedulingPolicy" in value:
        shown.setdefault("schedulingConstraints", None)
    return {key: shown[key] for key in _DECLARED if key in shown}


def _count(path: str, values: list[Object], count_max: int) -> Errors:
    return [FieldError.too_many(path, len(values), count_max)] if len(values) > count_max else []
