"""Binding, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

BINDINGS = Resource(
    version="v1",
    kind="Binding",
    plural="bindings",
    namespaced=True,
    verbs=("create",),
    schema="io.k8s.api.core.v1.Binding",
    stored=False,
)
