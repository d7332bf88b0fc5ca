"""ControllerRevision, apps/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

CONTROLLERREVISIONS = Resource(
    group="apps",
    version="v1",
    kind="ControllerRevision",
    plural="controllerrevisions",
    namespaced=True,
    schema="io.k8s.api.apps.v1.ControllerRevision",
)
