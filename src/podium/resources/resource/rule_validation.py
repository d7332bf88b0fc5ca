"""What is wrong with rules that taint devices, and with questions about the state of pools."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, objects, spec_of
from podium.resources.defaulting import given
from podium.resources.resource import names
from podium.resources.resource.taints import validate_taint

CONDITIONS_MAX = 8
POOLS_MAX = 1000


def validate_rule(rule: Object) -> Errors:
    """Check a DeviceTaintRule."""
    return _rule(spec_of(rule), None)


def validate_rule_update(new: Object, old: Object) -> Errors:
    """Check a changed DeviceTaintRule."""
    return _rule(spec_of(new), given(spec_of(old), "taint") or {})


def _rule(spec: Object, old_taint: Object | None) -> Errors:
    selector = given(spec, "deviceSelector") or {}
    errors: Errors = []
    for key, check in (("driver", names.driver), ("pool", names.pool), ("device", names.device)):
        if selector.get(key) is not None:
            errors += check(f"spec.deviceSelector.{key}", str(selector[key]))
    return errors + validate_taint(given(spec, "taint") or {}, old_taint, "spec.taint")


def validate_rule_status(new: Object, _old: Object) -> Errors:
    """Check what is said about a rule."""
    conditions = objects((given(new, "status") or {}).get("conditions"))
    errors = validation.validate_conditions(conditions, "status.conditions")
    if len(conditions) > CONDITIONS_MAX:
        errors.append(FieldError.too_many("status.conditions", len(conditions), CONDITIONS_MAX))
    return errors


def validate_question(request: Object) -> Errors:
    """Check a ResourcePoolStatusRequest."""
    spec = spec_of(request)
    driver, errors = str(spec.get("driver") or ""), list[FieldError]()
    if not driver:
        errors.append(FieldError.required("spec.driver"))
    else:
        faults = names.caseless_errors(driver)
        errors += validation.invalid_each("spec.driver", driver, faults)
    if spec.get("poolName") is not None:
        errors += names.segmented_pool("spec.poolName", str(spec["poolName"]))
    limit = spec.get("limit")
    if limit is not None and limit < 1:
        errors.append(FieldError.invalid("spec.limit", limit, "must be greater than or equal to 1"))
    if limit is not None and limit > POOLS_MAX:
        errors.append(FieldError.invalid("spec.limit", limit, f"must be less than or equal to {POOLS_MAX}"))
    return errors


def validate_question_update(new: Object, old: Object) -> Errors:
    """Check a changed question: it stays what it is."""
    return [FieldError.invalid("spec", None, validation.IMMUTABLE)] if immutable(new, old, "spec") else []


def validate_answer(new: Object, old: Object) -> Errors:
    """Check an answer: it is given once."""
    if old.get("status") is not None:
        return immutable(new, old, "status")
    status = given(new, "status")
    if status is None:
        return []
    conditions = objects(status.get("conditions"))
    errors = validation.validate_conditions(conditions, "status.conditions")
    if status.get("poolCount") is None:
        errors.append(FieldError.required("status.poolCount"))
    pools = objects(status.get("pools"))
    if len(pools) > POOLS_MAX:
        errors.append(FieldError.too_many("status.pools", len(pools), POOLS_MAX))
    return errors
