"""What is wrong with a pod after a write through one of its subresources."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, difference, objects, same, spec_of
from podium.resources.core import pod_validation
from podium.resources.core.qos import qos_class
from podium.resources.defaulting import given

_RESIZABLE = ("cpu", "memory")
_ONLY_COMPUTE = "only cpu and memory resources are mutable"


def validate_ephemeral_containers(new: Object, old: Object) -> Errors:
    """Check added ephemeral containers: those that are there stay as they are."""
    errors = pod_validation.validate_pod(new)
    path = "spec.ephemeralContainers"
    containers = {c.get("name"): c for c in objects(spec_of(new).get("ephemeralContainers"))}
    for was in objects(spec_of(old).get("ephemeralContainers")):
        name = was.get("name")
        now = containers.get(name)
        if now is None:
            detail = f'existing ephemeral containers "{name}" may not be removed\n'
            errors.append(FieldError.forbidden(path, detail))
        elif not same(now, was):
            detail = f'existing ephemeral containers "{name}" may not be changed\n{difference(was, now)}'
            errors.append(FieldError.forbidden(path, detail))
    return errors


def validate_resize(new: Object, old: Object) -> Errors:
    """Check changed resources: of cpu and memory only, within the pod's quality of service."""
    errors = pod_validation.validate_pod(new)
    spec, before = spec_of(new), spec_of(old)
    was = (given(old, "status") or {}).get("qosClass") or qos_class(before)
    if qos_class(spec) != was:
        detail = "Pod QOS Class may not change as a result of resizing"
        errors.append(FieldError.invalid("spec", was, detail))
    for key in ("containers", "initContainers"):
        for container, old_container in zip(objects(spec.get(key)), objects(before.get(key)), strict=False):
            if not same(_fixed(container), _fixed(old_container)):
                errors.append(FieldError.forbidden("spec", _ONLY_COMPUTE))
    return errors


def _fixed(container: Object) -> Object:
    """Return what a resize may not change of a container."""
    fixed = {key: value for key, value in container.items() if key not in ("resources", "resizePolicy")}
    resources = given(container, "resources") or {}
    for kind in ("requests", "limits"):
        amounts = resources.get(kind) or {}
        fixed[kind] = {name: value for name, value in amounts.items() if name not in _RESIZABLE}
    return fixed
