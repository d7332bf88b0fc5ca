"""CronJob, batch/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.batch.jobs import default_job_spec_template
from podium.resources.defaulting import absent, blank, child


def _defaults(cron_job: Object) -> None:
    spec = child(cron_job, "spec")
    template = child(spec, "jobTemplate")
    child(template, "metadata")
    default_job_spec_template(child(template, "spec"))
    blank(spec, "concurrencyPolicy", "Allow")
    absent(spec, "suspend", False)
    absent(spec, "successfulJobsHistoryLimit", 3)
    absent(spec, "failedJobsHistoryLimit", 1)
    child(cron_job, "status")


def _prepare_create(cron_job: Object) -> None:
    cron_job["status"] = {}


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
    defaults=_defaults,
    prepare_create=_prepare_create,
)
