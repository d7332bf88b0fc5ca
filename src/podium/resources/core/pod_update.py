"""Which changes of a pod are forbidden once it exists."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import INT32_MAX, Errors, difference, metadata_of, objects, spec_of, unchanged
from podium.resources.core import pod_annotations, pod_validation
from podium.resources.core.pod_create import APPARMOR_PREFIX
from podium.resources.defaulting import given
from podium.resources.ratcheting import without_old_faults

_MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CONTAINER_LISTS = ("containers", "initContainers")


def validate_update(new: Object, old: Object) -> Errors:
    """Check a changed pod and the change itself: of a pod's spec hardly anything may change."""
    errors = without_old_faults(pod_validation.validate_pod(new), lambda: pod_validation.validate_pod(old))
    errors += annotation_changes(new, old)
    spec, before = spec_of(new), spec_of(old)
    for key in _CONTAINER_LISTS:
        changed, were = objects(spec.get(key)), objects(before.get(key))
        if len(changed) != len(were):
            detail = "pod updates may not add or remove containers"
            errors.append(FieldError.forbidden(f"spec.{key}", detail))
            return errors
        errors += _images(changed, f"spec.{key}")
    deadline, was = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    here = "spec.activeDeadlineSeconds"
    if deadline is not None:
        if not 0 <= deadline <= INT32_MAX:
            detail = validation.range_message(0, INT32_MAX)
            return [*errors, FieldError.invalid(here, deadline, detail)]
        if was is not None and was < deadline:
            detail = "must be less than or equal to previous value"
            return [*errors, FieldError.invalid(here, deadline, detail)]
    elif was is not None:
        errors.append(FieldError.invalid(here, None, "must not update from a positive integer to nil value"))
    errors += _only_added_tolerations(spec, before)
    errors += _only_deleted_gates(spec, before)
    munged = _munged(spec, before)
    if before.get("schedulingGates"):
        errors += _aimed_more_closely(munged, before)
    if not unchanged(munged, before):
        detail = f"pod updates may not change fields other than {_MUTABLE}\n{difference(before, munged)}"
        errors.append(FieldError.forbidden("spec", detail))
    return errors


def _images(containers: list[Object], path: str) -> Errors:
    errors: Errors = []
    for index, container in enumerate(containers):
        image = str(container.get("image") or "")
        if not image:
            errors.append(FieldError.required(f"{path}[{index}].image"))
        if image != image.strip():
            detail = "must not have leading or trailing whitespace"
            errors.append(FieldError.invalid(f"{path}[{index}].image", image, detail))
    return errors


def _only_added_tolerations(spec: Object, before: Object) -> Errors:
    tolerations = objects(spec.get("tolerations"))
    present = [_without_seconds(toleration) for toleration in tolerations]
    if any(_without_seconds(was) not in present for was in objects(before.get("tolerations"))):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        return [FieldError.forbidden("spec.tolerations", detail)]
    return pod_validation.validate_tolerations(tolerations, "spec.tolerations")


def _without_seconds(toleration: Object) -> Object:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds" and value}


def _only_deleted_gates(spec: Object, before: Object) -> Errors:
    known = {gate.get("name") for gate in objects(before.get("schedulingGates"))}
    return [
        FieldError.forbidden(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
        )
        for index, gate in enumerate(objects(spec.get("schedulingGates")))
        if gate.get("name") not in known
    ]


def _munged(spec: Object, before: Object) -> Object:
    """Return the new spec with what may change put back to what it was."""
    munged = dict(spec)
    for key in _CONTAINER_LISTS:
        if key in munged:
            munged[key] = [
                {**container, "image": was.get("image")}
                for container, was in zip(objects(spec.get(key)), objects(before.get(key)), strict=True)
            ]
    for key in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        munged.pop(key, None)
        if key in before:
            munged[key] = before[key]
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    return munged


def _aimed_more_closely(munged: Object, before: Object) -> Errors:
    """Allow a pod that is held back to be pointed at fewer nodes: put that back in `munged` too."""
    errors: Errors = []
    selector, was = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(selector.get(key) != value for key, value in was.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(FieldError.invalid("spec.nodeSelector", selector or None, detail))
    munged["nodeSelector"] = before.get("nodeSelector")
    affinity, old_affinity = given(munged, "affinity") or {}, given(before, "affinity") or {}
    nodes, old_nodes = given(affinity, "nodeAffinity"), given(old_affinity, "nodeAffinity")
    if unchanged(nodes, old_nodes):
        return errors
    munged["affinity"] = {**affinity, "nodeAffinity": old_nodes}
    if before.get("affinity") is None and not affinity.keys() - {"nodeAffinity"}:
        munged["affinity"] = None
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms, old_terms = (
        objects((given(side or {}, required) or {}).get("nodeSelectorTerms")) for side in (nodes, old_nodes)
    )
    path = f"spec.affinity.nodeAffinity.{required}.nodeSelectorTerms"
    if old_terms and len(terms) != len(old_terms):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.append(FieldError.invalid(path, terms or None, detail))
        return errors
    detail = "only additions are allowed (no mutations or deletions)"
    return errors + [
        FieldError.invalid(f"{path}[{index}]", term, detail)
        for index, (term, old_term) in enumerate(zip(terms, old_terms, strict=False))
        if not _only_adds(term, old_term)
    ]


def _only_adds(term: Object, was: Object) -> bool:
    lists = [(objects(term.get(key)), objects(was.get(key))) for key in ("matchExpressions", "matchFields")]
    if not any(old for _, old in lists):
        return not any(new for new, _ in lists)
    return all(unchanged(new[: len(old)], old) for new, old in lists)


def annotation_changes(new: Object, old: Object) -> Errors:
    """Refuse to change annotations that say what a pod is."""
    annotations, were = (metadata_of(side).get("annotations") or {} for side in (new, old))
    errors: Errors = []
    for key in sorted(annotations.keys() | were.keys()):
        what = "AppArmor annotations" if key.startswith(APPARMOR_PREFIX) else ""
        if key == pod_annotations.MIRROR:
            what = "mirror pod annotation"
        if what and annotations.get(key) != were.get(key):
            verb = "remove or update" if key in were else "add"
            errors.append(FieldError.forbidden(f"metadata.annotations[{key}]", f"may not {verb} {what}"))
    return errors
