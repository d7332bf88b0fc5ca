"""Lease, coordination.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

LEASES = Resource(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    namespaced=True,
    schema="io.k8s.api.coordination.v1.Lease",
    create_on_update=True,
)
