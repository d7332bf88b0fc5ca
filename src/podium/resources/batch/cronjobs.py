"""CronJob, batch/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

CRONJOBS = Resource(
    group="batch",
    version="v1",
    kind="CronJob",
    plural="cronjobs",
    namespaced=True,
    short_names=("cj",),
    categories=("all",),
    schema="io.k8s.api.batch.v1.CronJob",
    status=True,
    generation=True,
)
