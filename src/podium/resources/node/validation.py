"""What is wrong with runtime classes. Upstream: pkg/apis/node/validation/validation.go."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, objects, required_name
from podium.resources.core.container_validation import validate_resources
from podium.resources.core.pod_validation import COMPARISONS, refused_comparison, validate_tolerations
from podium.resources.defaulting import given


def validate_runtime_class(runtime_class: Object) -> Errors:
    """Check a RuntimeClass."""
    errors = required_name("handler", runtime_class.get("handler"), validation.dns1123_label_errors)
    overhead = given(runtime_class, "overhead")
    if overhead is not None:
        errors += validate_resources({"limits": overhead.get("podFixed") or {}}, "overhead")
    scheduling = given(runtime_class, "scheduling")
    if scheduling is not None:
        errors += validation.validate_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
        tolerations = objects(scheduling.get("tolerations"))
        errors += validate_tolerations(tolerations, "scheduling.tolerations")
        errors += [
            refused_comparison(toleration, f"scheduling.tolerations[{index}]")
            for index, toleration in enumerate(tolerations)
            if toleration.get("operator") in COMPARISONS
        ]
        errors += _repeated(tolerations, "scheduling.tolerations")
    return errors


def _repeated(tolerations: list[Object], path: str) -> Errors:
    errors: Errors = []
    seen: set[tuple[object, ...]] = set()
    for index, toleration in enumerate(tolerations):
        key = tuple(toleration.get(name) or "" for name in ("key", "operator", "value", "effect"))
        if key in seen:
            errors.append(FieldError.duplicate(f"{path}[{index}]", toleration))
        seen.add(key)
    return errors


def validate_runtime_class_update(new: Object, old: Object) -> Errors:
    """Check a changed RuntimeClass: its handler stays."""
    return immutable(new, old, "handler") + validate_runtime_class(new)
