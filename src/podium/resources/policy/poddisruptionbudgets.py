"""PodDisruptionBudget, policy/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, child

_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def _defaults(budget: Object) -> None:
    child(budget, "spec")
    status = child(budget, "status")
    for name in _COUNTS:
        absent(status, name, 0)


def _prepare_create(budget: Object) -> None:
    budget["status"] = dict.fromkeys(_COUNTS, 0)


PODDISRUPTIONBUDGETS = Resource(
    group="policy",
    version="v1",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    namespaced=True,
    short_names=("pdb",),
    schema="io.k8s.api.policy.v1.PodDisruptionBudget",
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
