"""ConfigMap, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

CONFIGMAPS = Resource(
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    namespaced=True,
    short_names=("cm",),
    schema="io.k8s.api.core.v1.ConfigMap",
)
