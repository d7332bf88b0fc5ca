"""PodTemplate, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

PODTEMPLATES = Resource(
    version="v1",
    kind="PodTemplate",
    plural="podtemplates",
    namespaced=True,
    schema="io.k8s.api.core.v1.PodTemplate",
    create_on_update=True,
    delete_returns_object=True,
)
