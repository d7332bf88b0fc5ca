"""CronJob, batch/v1beta1 and batch/v2alpha1, whose jobs are those of batch/v1."""

from __future__ import annotations

from podium.machinery.derived import Package
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.legacy.older import older

_JOBS = frozenset(("Job", "JobSpec", "JobList", "JobStatus"))


def _package(version: str) -> Package:
    return Package(
        name=f"io.k8s.api.batch.{version}",
        group="batch",
        version=version,
        bases=("io.k8s.api.batch.v1",),
        shared=_JOBS,
    )


V1BETA1_PACKAGE, V2ALPHA1_PACKAGE = PACKAGES = (_package("v1beta1"), _package("v2alpha1"))

CRONJOBS_V1BETA1 = older(
    CRONJOBS, V1BETA1_PACKAGE, deprecated=(1, 21), removed=(1, 25), default_propagation="Orphan"
)
CRONJOBS_V2ALPHA1 = older(
    CRONJOBS, V2ALPHA1_PACKAGE, deprecated=(1, 8), removed=(1, 21), default_propagation="Orphan"
)

RESOURCES = (CRONJOBS_V1BETA1, CRONJOBS_V2ALPHA1)
