"""What is wrong with disruption budgets."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import (
    Errors,
    nonnegative,
    nonnegative_int_or_percent,
    not_above_100_percent,
    spec_of,
)
from podium.resources.defaulting import given

EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def validate_budget(budget: Object) -> Errors:
    """Check a PodDisruptionBudget."""
    spec = spec_of(budget)
    errors: Errors = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        detail = "minAvailable and maxUnavailable cannot be both set"
        errors.append(FieldError.invalid("spec", spec, detail))
    for key in ("minAvailable", "maxUnavailable"):
        if spec.get(key) is not None:
            errors += nonnegative_int_or_percent(f"spec.{key}", spec[key])
            errors += not_above_100_percent(f"spec.{key}", spec[key])
    errors += validation.validate_label_selector(given(spec, "selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in EVICTION_POLICIES:
        path = "spec.unhealthyPodEvictionPolicy"
        errors.append(FieldError.not_supported(path, policy, EVICTION_POLICIES))
    return errors


def validate_budget_status(new: Object, _old: Object) -> Errors:
    """Check a PodDisruptionBudget's status."""
    status = given(new, "status") or {}
    errors = validation.validate_conditions(status.get("conditions") or [], "status.conditions")
    return errors + nonnegative(
        status, "status", "disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"
    )
