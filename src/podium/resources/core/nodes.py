"""Node, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Subresource

NODES = Resource(
    version="v1",
    kind="Node",
    plural="nodes",
    namespaced=False,
    short_names=("no",),
    schema="io.k8s.api.core.v1.Node",
    storage_prefix="minions",
    status=True,
    subresources=(
        Subresource(
            name="proxy", kind="NodeProxyOptions", verbs=("create", "delete", "get", "patch", "update")
        ),
    ),
)
