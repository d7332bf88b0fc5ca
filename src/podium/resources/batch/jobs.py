"""Job, batch/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

JOBS = Resource(
    group="batch",
    version="v1",
    kind="Job",
    plural="jobs",
    namespaced=True,
    categories=("all",),
    schema="io.k8s.api.batch.v1.Job",
    status=True,
    generation=True,
    default_propagation="Orphan",
)
