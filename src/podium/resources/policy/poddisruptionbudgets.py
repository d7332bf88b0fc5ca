"""PodDisruptionBudget, policy/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.validation import path_segment_errors
from podium.resources import deferred
from podium.resources.defaulting import absent, child
from podium.resources.printing import AGE, NAME, column, count, spec, status

_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def _defaults(budget: Object) -> None:
    child(budget, "spec")
    status = child(budget, "status")
    for name in _COUNTS:
        absent(status, name, 0)


def disruption_allowed(allowed: int, observed_generation: int) -> Object:
    """Return the condition that says whether the budget allows an eviction now."""
    return {
        "type": "DisruptionAllowed",
        "observedGeneration": observed_generation,
        "status": "True" if allowed > 0 else "False",
        "reason": "SufficientPods" if allowed > 0 else "InsufficientPods",
        "message": "",
    }


def _prepare_create(budget: Object) -> None:
    budget["status"] = dict.fromkeys(_COUNTS, 0)


def _limit(budget: Object, name: str) -> str:
    value = spec(budget).get(name)
    return "N/A" if value is None else str(value)


PODDISRUPTIONBUDGETS = Resource(
    group="policy",
    version="v1",
    kind="PodDisruptionBudget",
    name_errors=path_segment_errors,
    core_finalizers=False,
    plural="poddisruptionbudgets",
    namespaced=True,
    short_names=("pdb",),
    schema="io.k8s.api.policy.v1.PodDisruptionBudget",
    compares_metadata=False,
    status_compares_metadata=False,
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Min Available", lambda obj: _limit(obj, "minAvailable")),
        column("Max Unavailable", lambda obj: _limit(obj, "maxUnavailable")),
        column(
            "Allowed Disruptions", lambda obj: count(status(obj).get("disruptionsAllowed")), type="integer"
        ),
        AGE,
    ),
    unconditional_update=False,
    validate=deferred.check("policy.validation", "validate_budget"),
    validate_update=deferred.check_again("policy.validation", "validate_budget"),
    validate_status_update=deferred.update_check("policy.validation", "validate_budget_status"),
)
