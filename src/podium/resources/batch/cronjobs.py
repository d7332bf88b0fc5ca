"""CronJob, batch/v1."""

from __future__ import annotations

from datetime import datetime

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.table import since
from podium.resources import deferred
from podium.resources.batch.jobs import default_job_spec_template
from podium.resources.core.pod_gates import pod_fields, while_off, while_on
from podium.resources.defaulting import absent, blank, child
from podium.resources.printing import (
    AGE,
    NAME,
    NONE,
    UNSET,
    column,
    container_columns,
    selector_text,
    spec,
    status,
    timed,
)


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


def _job_spec(cron_job: Object) -> Object:
    return (spec(cron_job).get("jobTemplate") or {}).get("spec") or {}


def _containers(cron_job: Object) -> list[Object]:
    return list(((_job_spec(cron_job).get("template") or {}).get("spec") or {}).get("containers") or ())


def _suspend(cron_job: Object) -> str:
    value = spec(cron_job).get("suspend")
    return UNSET if value is None else str(bool(value))


def _last_schedule(cron_job: Object, now: datetime) -> str:
    last = status(cron_job).get("lastScheduleTime")
    return since(last, now) if last else NONE


CRONJOBS = Resource(
    group="batch",
    version="v1",
    kind="CronJob",
    plural="cronjobs",
    namespaced=True,
    short_names=("cj",),
    categories=("all",),
    schema="io.k8s.api.batch.v1.CronJob",
    status_compares_metadata=False,
    gated=pod_fields("spec.jobTemplate.spec.template.spec"),
    while_off=while_off("spec.jobTemplate.spec.template.spec"),
    while_on=while_on("spec.jobTemplate.spec.template.spec"),
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Schedule", lambda obj: spec(obj).get("schedule") or ""),
        column("Timezone", lambda obj: spec(obj).get("timeZone") or NONE),
        column("Suspend", _suspend, type="boolean"),
        column("Active", lambda obj: len(status(obj).get("active") or ()), type="integer"),
        timed("Last Schedule", _last_schedule),
        AGE,
        *container_columns(_containers),
        column("Selector", lambda obj: selector_text(_job_spec(obj).get("selector")), wide=True),
    ),
    warnings=deferred.warnings("warnings", "cron_job_warnings"),
    validate=deferred.check("batch.validation", "validate_cron_job"),
    validate_update=deferred.update_check("batch.validation", "validate_cron_job_update"),
)
