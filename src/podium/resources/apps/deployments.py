"""Deployment, apps/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Scale
from podium.resources.scaling import selector_of_labels

DEPLOYMENTS = Resource(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    namespaced=True,
    short_names=("deploy",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.Deployment",
    scale=Scale(selector=selector_of_labels),
    status=True,
    generation=True,
    generation_fields=("spec", "metadata.annotations"),
)
