"""What is wrong with priority classes."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, metadata_of, one_of

SYSTEM_PREFIX = "system-"
SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
USER_PRIORITY_MAX = 1_000_000_000


def validate_class(priority_class: Object) -> Errors:
    """Check a PriorityClass."""
    errors: Errors = []
    name, value = str(metadata_of(priority_class).get("name") or ""), priority_class.get("value") or 0
    if name.startswith(SYSTEM_PREFIX):
        fault = _system_fault(name, value, bool(priority_class.get("globalDefault")))
        if fault:
            detail = (
                f"priority class names with 'system-' prefix are reserved for system use only. error: {fault}"
            )
            errors.append(FieldError.forbidden("metadata.name", detail))
    elif value > USER_PRIORITY_MAX:
        detail = f"maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"
        errors.append(FieldError.forbidden("value", detail))
    policy = priority_class.get("preemptionPolicy")
    if policy is not None:
        errors += one_of("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
    return errors


def _system_fault(name: str, value: int, default: bool) -> str:
    known = SYSTEM_CLASSES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if value != known:
        return f"value of {name} PriorityClass must be {known}"
    return f"globalDefault of {name} PriorityClass must be false" if default else ""


def validate_class_update(new: Object, old: Object) -> Errors:
    """Check a changed PriorityClass: pods have its value already."""
    errors: Errors = []
    if (new.get("value") or 0) != (old.get("value") or 0):
        errors.append(FieldError.forbidden("value", "may not be changed in an update."))
    return errors + immutable(new, old, "preemptionPolicy")
