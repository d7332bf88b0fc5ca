"""ReplicationController, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Scale
from podium.resources.scaling import selector_of_map

REPLICATIONCONTROLLERS = Resource(
    version="v1",
    kind="ReplicationController",
    plural="replicationcontrollers",
    namespaced=True,
    short_names=("rc",),
    categories=("all",),
    schema="io.k8s.api.core.v1.ReplicationController",
    storage_prefix="controllers",
    scale=Scale(selector=selector_of_map),
    status=True,
    generation=True,
)
