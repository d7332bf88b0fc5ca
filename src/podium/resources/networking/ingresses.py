"""Ingress, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

INGRESSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="Ingress",
    plural="ingresses",
    namespaced=True,
    short_names=("ing",),
    schema="io.k8s.api.networking.v1.Ingress",
    storage_prefix="ingress",
    status=True,
    generation=True,
)
