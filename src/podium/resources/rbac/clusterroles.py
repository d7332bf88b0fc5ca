"""ClusterRole, rbac.authorization.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

CLUSTERROLES = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="ClusterRole",
    plural="clusterroles",
    namespaced=False,
    schema="io.k8s.api.rbac.v1.ClusterRole",
    create_on_update=True,
)
