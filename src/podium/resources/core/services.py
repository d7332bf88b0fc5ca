"""Service, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Subresource

SERVICES = Resource(
    version="v1",
    kind="Service",
    plural="services",
    namespaced=True,
    short_names=("svc",),
    categories=("all",),
    schema="io.k8s.api.core.v1.Service",
    storage_prefix="services/specs",
    status=True,
    subresources=(
        Subresource(
            name="proxy", kind="ServiceProxyOptions", verbs=("create", "delete", "get", "patch", "update")
        ),
    ),
    create_on_update=True,
    delete_returns_object=True,
)
