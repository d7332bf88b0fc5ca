"""What is wrong with taints of devices and with what tolerates them."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named

EFFECTS = ("NoExecute", "NoSchedule", "None")
_OPERATORS = ("Equal", "Exists")


def validate_taint(taint: Object, old: Object | None, path: str) -> Errors:
    """Check a device's taint; an effect that stays is not judged again."""
    errors = _key(f"{path}.key", str(taint.get("key") or ""))
    value, effect = str(taint.get("value") or ""), str(taint.get("effect") or "")
    if value:
        errors += named(f"{path}.value", value, validation.label_value_errors)
    if old is None or str(old.get("effect") or "") != effect:
        if not effect:
            errors.append(FieldError.required(f"{path}.effect"))
        elif effect not in EFFECTS:
            errors.append(FieldError.not_supported(f"{path}.effect", effect, EFFECTS))
    return errors


def _key(field: str, key: str) -> Errors:
    return named(field, key, validation.qualified_name_errors)


def validate_toleration(toleration: Object, path: str) -> Errors:
    """Check what a request puts up with."""
    key, value = str(toleration.get("key") or ""), str(toleration.get("value") or "")
    operator, effect = str(toleration.get("operator") or ""), str(toleration.get("effect") or "")
    errors = _key(f"{path}.key", key) if key else []
    if operator == "Exists":
        if value:
            errors.append(FieldError.invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        errors += named(f"{path}.value", value, validation.label_value_errors)
    elif not operator:
        errors.append(FieldError.required(f"{path}.operator"))
    else:
        errors.append(FieldError.not_supported(f"{path}.operator", operator, _OPERATORS))
    if effect and effect not in EFFECTS:
        errors.append(FieldError.not_supported(f"{path}.effect", effect, EFFECTS))
    return errors
