"""What is wrong with a pod after a write through one of its subresources."""

from __future__ import annotations

from collections.abc import Iterable

from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, difference, metadata_of, objects, spec_of, unchanged
from podium.resources.core import pod_annotations, pod_validation
from podium.resources.core.pod_update import annotation_changes
from podium.resources.core.qos import qos_class
from podium.resources.defaulting import given

_RESIZABLE = ("cpu", "memory")
_KINDS = ("requests", "limits")
_ONLY_COMPUTE = "only cpu and memory resources are mutable"


def validate_ephemeral_containers(new: Object, old: Object) -> Errors:
    """Check added ephemeral containers: those that are there stay as they are."""
    if _is_static(old):
        return [FieldError.forbidden("", "static pods do not support ephemeral containers")]
    errors = pod_validation.validate_pod(new) + annotation_changes(new, old)
    path = "spec.ephemeralContainers"
    containers = {c.get("name"): c for c in objects(spec_of(new).get("ephemeralContainers"))}
    for was in objects(spec_of(old).get("ephemeralContainers")):
        name = was.get("name")
        now = containers.get(name)
        if now is None:
            detail = f'existing ephemeral containers "{name}" may not be removed\n'
            errors.append(FieldError.forbidden(path, detail))
        elif not unchanged(now, was):
            detail = f'existing ephemeral containers "{name}" may not be changed\n{difference(was, now)}'
            errors.append(FieldError.forbidden(path, detail))
    return errors


def _is_static(pod: Object) -> bool:
    return pod_annotations.MIRROR in (metadata_of(pod).get("annotations") or {})


def validate_resize(new: Object, old: Object) -> Errors:
    """Check changed resources: of cpu and memory only, within the pod's quality of service."""
    spec, before = spec_of(new), spec_of(old)
    if _is_static(old):
        return [FieldError.forbidden("", "static pods cannot be resized")]
    if (given(before, "os") or {}).get("name") == "windows":
        return [FieldError.forbidden("", "windows pods cannot be resized")]
    errors = pod_validation.validate_pod(new)
    status = given(old, "status") or {}
    was = status.get("qosClass") or qos_class(before)
    if qos_class(spec) != was:
        detail = "Pod QOS Class may not change as a result of resizing"
        errors.append(FieldError.invalid("spec", was, detail))
    if not _node_resizes(status):
        errors.append(FieldError.forbidden("spec", "Pod running on node without support for resize"))
    own, old_own = given(spec, "resources"), given(before, "resources")
    errors += _whole(own, old_own)
    if status.get("nodeAllocatableResourceClaimStatuses"):
        detail = "pods with node allocatable resource claims cannot be resized"
        errors.append(FieldError.forbidden("spec", detail))
    disorder = _disorder(spec, before)
    if disorder:
        return errors + disorder
    for key in ("initContainers", "containers"):
        for index, (container, was_container) in enumerate(_pairs(spec, before, key)):
            errors += _removed(container, was_container, f"spec.{key}[{index}].resources")
    for container, was_container in _pairs(spec, before, "containers"):
        if not unchanged(_fixed(container), _fixed(was_container)):
            errors.append(FieldError.forbidden("spec", _ONLY_COMPUTE))
    for index, (container, was_container) in enumerate(_pairs(spec, before, "initContainers")):
        errors += _init_container(container, was_container, f"spec.initContainers[{index}]")
    return errors


def _node_resizes(status: Object) -> bool:
    """Say whether the pod's node can resize it: it says what running containers may use."""
    for container in objects(status.get("containerStatuses")):
        if given(given(container, "state") or {}, "running") is not None:
            return container.get("resources") is not None
    # Nothing runs, so that this cannot be known.
    return True


def _amounts(resources: Object | None) -> bool:
    return bool(resources and (resources.get("requests") or resources.get("limits")))


def _whole(resources: Object | None, was: Object | None) -> Errors:
    """Check what the pod as a whole may use."""
    if not _amounts(resources) and not _amounts(was):
        return []
    if was is not None and resources is None:
        return [FieldError.forbidden("spec.resources", "pod-level resources cannot be removed")]
    errors: Errors = []
    if was is not None and resources is not None:
        errors += [
            FieldError.forbidden(f"spec.resources.{kind}", f"pod-level resource {kind} cannot be removed")
            for kind in _KINDS
            if _fewer(resources.get(kind), was.get(kind))
        ]
    if not unchanged(_uncomputed(resources or {}), _uncomputed(was or {})):
        detail = "only cpu and memory resources are mutable at pod-level"
        errors.append(FieldError.forbidden("spec", detail))
    return errors


def without_pod_resources(new: Object, old: Object | None) -> Errors:
    """Refuse to resize pods that have resources as a whole."""
    if old is None or not any(_amounts(given(spec_of(side), "resources")) for side in (new, old)):
        return []
    spec, before = spec_of(new), spec_of(old)
    containers, were = objects(spec.get("containers")), objects(before.get("containers"))
    if unchanged([c.get("resources") for c in containers], [c.get("resources") for c in were]) and unchanged(
        spec.get("resources"), before.get("resources")
    ):
        return []
    detail = (
        "resize of pods with pod-level resources is forbidden when "
        "InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled"
    )
    return [FieldError.forbidden("", detail)]


def _disorder(spec: Object, before: Object) -> Errors:
    errors: Errors = []
    for key in ("containers", "initContainers"):
        containers, were = objects(spec.get(key)), objects(before.get(key))
        if len(containers) != len(were):
            detail = f"{key} may not be added or removed on resize"
            errors.append(FieldError.forbidden(f"spec.{key}", detail))
            continue
        errors += [
            FieldError.forbidden(
                f"spec.{key}[{index}].name", f"{key} may not be renamed or reordered on resize"
            )
            for index, (container, was) in enumerate(zip(containers, were, strict=True))
            if container.get("name") != was.get("name")
        ]
    return errors


def _pairs(spec: Object, before: Object, key: str) -> Iterable[tuple[Object, Object]]:
    return zip(objects(spec.get(key)), objects(before.get(key)), strict=True)


def _removed(container: Object, was: Object, path: str) -> Errors:
    resources, old_resources = given(container, "resources") or {}, given(was, "resources") or {}
    return [
        FieldError.forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed")
        for kind in _KINDS
        if _fewer(resources.get(kind), old_resources.get(kind))
    ]


def _fewer(amounts: Object | None, were: Object | None) -> bool:
    return any(name not in (amounts or {}) for name in were or ())


def _init_container(container: Object, was: Object, path: str) -> Errors:
    errors: Errors = []
    if not unchanged(_fixed(container), _fixed(was)):
        detail = "only cpu and memory resources for init or sidecar containers are mutable"
        errors.append(FieldError.forbidden(path, detail))
    if unchanged(container, was) or container.get("restartPolicy") == "Always":
        return errors
    detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
    return errors + [
        FieldError.forbidden(path, detail)
        for policy in objects(container.get("resizePolicy"))
        if policy.get("restartPolicy") == "RestartContainer"
    ]


def _fixed(container: Object) -> Object:
    """Return what a resize may not change of a container."""
    fixed = {key: value for key, value in container.items() if key != "resources"}
    return {**fixed, **_uncomputed(given(container, "resources") or {})}


def _uncomputed(resources: Object) -> Object:
    """Return what resources say besides how much cpu and memory."""
    rest: Object = {"claims": resources.get("claims")}
    for kind in _KINDS:
        amounts = resources.get(kind) or {}
        rest[kind] = {name: value for name, value in amounts.items() if name not in _RESIZABLE}
    return rest
