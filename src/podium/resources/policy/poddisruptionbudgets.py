"""PodDisruptionBudget, policy/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

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
)
