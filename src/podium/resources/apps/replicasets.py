"""ReplicaSet, apps/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Scale
from podium.resources.scaling import selector_of_labels

REPLICASETS = Resource(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    namespaced=True,
    short_names=("rs",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.ReplicaSet",
    scale=Scale(selector=selector_of_labels),
    status=True,
    generation=True,
)
