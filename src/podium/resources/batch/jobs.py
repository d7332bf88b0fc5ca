"""Job, batch/v1."""

from __future__ import annotations

from datetime import datetime

from podium.base.clock import parse_rfc3339
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.table import duration, since
from podium.resources import deferred
from podium.resources.core import pod_spec
from podium.resources.core.pod_gates import TEMPLATE_FIELDS, TEMPLATE_WHILE_OFF, TEMPLATE_WHILE_ON
from podium.resources.defaulting import absent, blank, child, given, items
from podium.resources.printing import (
    AGE,
    NAME,
    column,
    condition_true,
    container_columns,
    count,
    deleting,
    selector_text,
    spec,
    status,
    template_containers,
    timed,
)
from podium.resources.selecting import number

UID_LABEL = "batch.kubernetes.io/controller-uid"
NAME_LABEL = "batch.kubernetes.io/job-name"
LEGACY_UID_LABEL = "controller-uid"
LEGACY_NAME_LABEL = "job-name"
BACKOFF_LIMIT = 6
BACKOFF_LIMIT_MAX = 2**31 - 1


def _defaults(job: Object) -> None:
    spec = child(job, "spec")
    default_job_spec_template(spec)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    absent(spec, "parallelism", 1)
    by_index = spec.get("backoffLimitPerIndex") is not None
    absent(spec, "backoffLimit", BACKOFF_LIMIT_MAX if by_index else BACKOFF_LIMIT)
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if labels and not child(job, "metadata").get("labels"):
        job["metadata"]["labels"] = dict(labels)
    absent(spec, "completionMode", "NonIndexed")
    absent(spec, "suspend", False)
    replacement = "Failed" if given(spec, "podFailurePolicy") else "TerminatingOrFailed"
    absent(spec, "podReplacementPolicy", replacement)
    absent(spec, "manualSelector", False)
    child(job, "status")


def default_job_spec_template(spec: Object) -> None:
    """Fill in what the template of a job gets, in jobs and in cron jobs alike."""
    pod_spec.default_template(child(spec, "template"))
    for rule in items(given(spec, "podFailurePolicy"), "rules"):
        for condition in items(rule, "onPodConditions"):
            blank(condition, "status", "True")


def _prepare_create(job: Object) -> None:
    job["status"] = {}
    spec = child(job, "spec")
    if not spec.get("manualSelector"):
        _generate_selector(job, spec)


def _generate_selector(job: Object, spec: Object) -> None:
    """Make the job select its own pods by its uid. What the creator already wrote is left to validation."""
    metadata = child(job, "metadata")
    uid, name = metadata.get("uid"), metadata.get("name")
    if not uid or not name:
        return
    labels = child(child(child(spec, "template"), "metadata"), "labels")
    for label, value in (
        (LEGACY_NAME_LABEL, name),
        (NAME_LABEL, name),
        (LEGACY_UID_LABEL, uid),
        (UID_LABEL, uid),
    ):
        labels.setdefault(label, value)
    # A job without labels of its own took its template's, in defaulting, before these were known; upstream's
    # two are then one map, so that the job shows them too.
    own = metadata.get("labels")
    if not own or all(item in labels.items() for item in own.items()):
        metadata["labels"] = dict(labels)
    match = child(child(spec, "selector"), "matchLabels")
    match.setdefault(UID_LABEL, uid)


_LATER_CONDITIONS = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _state(job: Object) -> str:
    if condition_true(job, "Complete"):
        return "Complete"
    if condition_true(job, "Failed"):
        return "Failed"
    if deleting(job):
        return "Terminating"
    return next((kind for kind in _LATER_CONDITIONS if condition_true(job, kind)), "Running")


def _completions(job: Object) -> str:
    succeeded = count(status(job).get("succeeded"))
    wanted = spec(job).get("completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = count(spec(job).get("parallelism"))
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(job: Object, now: datetime) -> str:
    started, completed = status(job).get("startTime"), status(job).get("completionTime")
    if not started:
        return ""
    if not completed:
        return since(started, now)
    return duration((parse_rfc3339(completed) - parse_rfc3339(started)).total_seconds())


JOBS = Resource(
    group="batch",
    version="v1",
    kind="Job",
    plural="jobs",
    namespaced=True,
    categories=("all",),
    schema="io.k8s.api.batch.v1.Job",
    metadata_again=1,
    gated=TEMPLATE_FIELDS,
    while_off={
        **TEMPLATE_WHILE_OFF,
        "MutablePodResourcesForSuspendedJobs": deferred.gate_check("batch.validation", "same_resources"),
        "MutableSchedulingDirectivesForSuspendedJobs": deferred.gate_check(
            "batch.validation", "same_scheduling_once_started"
        ),
    },
    while_on=TEMPLATE_WHILE_ON,
    status=True,
    generation=True,
    default_propagation="Orphan",
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Status", _state),
        column("Completions", _completions),
        timed("Duration", _duration),
        AGE,
        *container_columns(template_containers),
        column("Selector", lambda obj: selector_text(spec(obj).get("selector")), wide=True),
    ),
    selectable={"status.successful": number("status.succeeded")},
    unselectable='field label "{}" not supported for Job',
    warnings=deferred.warnings("warnings", "job_warnings"),
    validate=deferred.check("batch.validation", "validate_job"),
    validate_update=deferred.update_check("batch.validation", "validate_job_update"),
    validate_status_update=deferred.update_check("batch.job_status_validation", "validate_job_status"),
)
