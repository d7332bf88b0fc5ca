"""StatefulSet, apps/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Scale
from podium.resources.scaling import selector_of_labels

STATEFULSETS = Resource(
    group="apps",
    version="v1",
    kind="StatefulSet",
    plural="statefulsets",
    namespaced=True,
    short_names=("sts",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.StatefulSet",
    scale=Scale(selector=selector_of_labels),
    status=True,
    generation=True,
)
