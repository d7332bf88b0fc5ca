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
    errors = _driver("spec.driver", str(spec.get("driver") or ""))
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
    errors += _at_least(status, "poolCount", 0, "status")
    pools = objects(status.get("pools"))
    if len(pools) > POOLS_MAX:
        return [*errors, FieldError.too_many("status.pools", len(pools), POOLS_MAX)]
    for index, pool in enumerate(pools):
        errors += _pool_status(pool, f"status.pools[{index}]")
    return errors


def _driver(field: str, name: str) -> Errors:
    if not name:
        return [FieldError.required(field)]
    return validation.invalid_each(field, name, names.caseless_errors(name))


def _pool_status(pool: Object, path: str) -> Errors:
    errors = _driver(f"{path}.driver", str(pool.get("driver") or ""))
    name, here = str(pool.get("poolName") or ""), f"{path}.poolName"
    errors += names.segmented_pool(here, name) if name else [FieldError.required(here)]
    if not pool.get("generation"):
        # A pool's first generation is told as missing: upstream has no pointer there.
        errors.append(FieldError.required(f"{path}.generation"))
    errors += _at_least(pool, "generation", 0, path)
    errors += _at_least(pool, "resourceSliceCount", 1, path)
    for key in ("totalDevices", "allocatedDevices", "availableDevices", "unavailableDevices"):
        errors += _at_least(pool, key, 0, path)
    node = pool.get("nodeName")
    if node is not None:
        faults = validation.told_in_bytes(validation.dns1123_subdomain_errors(str(node)))
        errors += validation.invalid_each(f"{path}.nodeName", str(node), faults)
    return errors


def _at_least(holder: Object, key: str, least: int, path: str) -> Errors:
    number = holder.get(key)
    if number is None or number >= least:
        return []
    return [FieldError.invalid(f"{path}.{key}", number, f"must be greater than or equal to {least}")]
