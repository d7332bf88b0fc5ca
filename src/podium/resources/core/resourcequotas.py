"""ResourceQuota, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

RESOURCEQUOTAS = Resource(
    version="v1",
    kind="ResourceQuota",
    plural="resourcequotas",
    namespaced=True,
    short_names=("quota",),
    schema="io.k8s.api.core.v1.ResourceQuota",
    status=True,
    create_on_update=True,
    delete_returns_object=True,
)
