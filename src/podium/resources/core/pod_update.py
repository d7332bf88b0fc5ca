"""Which changes of a pod are forbidden once it exists, and what one of its status may say."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.addresses import older_ip
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import INT32_MAX, Errors, difference, named, objects, same, spec_of
from podium.resources.core import pod_validation
from podium.resources.core.addresses import is_ipv6
from podium.resources.defaulting import given

_MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CONTAINER_LISTS = ("containers", "initContainers")


def validate_update(new: Object, old: Object) -> Errors:
    """Check a changed pod and the change itself: of a pod's spec hardly anything may change."""
    errors = pod_validation.validate_pod(new)
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
    if not same(munged, before):
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
        munged[key] = before.get(key)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if before.get("schedulingGates"):
        # A pod that is held back may still be pointed at fewer nodes.
        munged["nodeSelector"] = before.get("nodeSelector")
    return munged


def validate_status_update(new: Object, old: Object) -> Errors:
    """Check a change of a pod's status."""
    errors: Errors = []
    status, before = given(new, "status") or {}, given(old, "status") or {}
    for index, condition in enumerate(objects(status.get("conditions"))):
        name = str(condition.get("type") or "")
        if "/" in name:
            errors += named(f"status.conditions[{index}].type", name, validation.qualified_name_errors)
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        errors += named("status.nominatedNodeName", nominated, validation.dns1123_subdomain_errors)
        if spec_of(old).get("nodeName"):
            detail = "may not be set on pods that are already bound to a node"
            errors.append(FieldError.forbidden("status.nominatedNodeName", detail))
    if before.get("qosClass"):
        errors += validation.validate_immutable(
            status.get("qosClass") or "", before.get("qosClass"), "status.qosClass"
        )
    errors += _addresses(objects(status.get("podIPs")))
    restart = str(spec_of(old).get("restartPolicy") or "")
    if restart != "Always":
        for key in ("containerStatuses", "initContainerStatuses"):
            sidecars = {
                container.get("name")
                for container in objects(spec_of(old).get("initContainers"))
                if container.get("restartPolicy") == "Always"
            }
            errors += _terminated_stay(status, before, key, restart, sidecars)
    return errors


def _addresses(ips: list[Object]) -> Errors:
    errors: Errors = []
    texts = [str(ip.get("ip") or "") for ip in ips]
    for index, text in enumerate(texts):
        errors += older_ip(f"status.podIPs[{index}]", text)
    if len(texts) > 2 or (len(texts) == 2 and is_ipv6(texts[0]) == is_ipv6(texts[1])):
        detail = "may specify no more than one IP for each IP family"
        errors.append(FieldError.invalid("status.podIPs", ips, detail))
    return errors


def _terminated_stay(status: Object, before: Object, key: str, restart: str, skip: set[object]) -> Errors:
    """A container that ended for good cannot be said to run again."""
    errors: Errors = []
    now = {container.get("name"): container for container in objects(status.get(key))}
    for index, was in enumerate(objects(before.get(key))):
        ended = given(given(was, "state") or {}, "terminated")
        if ended is None or was.get("name") in skip:
            continue
        if ended.get("exitCode") and restart == "OnFailure":
            continue
        current = now.get(was.get("name"))
        if current is not None and given(given(current, "state") or {}, "terminated") is None:
            detail = "may not be transitioned to non-terminated state"
            errors.append(FieldError.forbidden(f"status.{key}[{index}].state", detail))
    return errors
