"""Endpoints, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

ENDPOINTS = Resource(
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    namespaced=True,
    short_names=("ep",),
    schema="io.k8s.api.core.v1.Endpoints",
    storage_prefix="services/endpoints",
    create_on_update=True,
)
