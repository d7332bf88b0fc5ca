"""RoleBinding, rbac.authorization.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

ROLEBINDINGS = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="RoleBinding",
    plural="rolebindings",
    namespaced=True,
    schema="io.k8s.api.rbac.v1.RoleBinding",
    create_on_update=True,
)
