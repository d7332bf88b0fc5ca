"""Namespace, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Subresource

NAMESPACES = Resource(
    version="v1",
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    schema="io.k8s.api.core.v1.Namespace",
    status=True,
    subresources=(Subresource(name="finalize", kind="Namespace", verbs=("update",)),),
)
