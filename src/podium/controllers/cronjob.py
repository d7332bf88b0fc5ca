"""CronJobs: a Job at each time of a schedule.

`plan` decides from the clock and the Jobs there are; the Job's name is made from its time, so that no time
can be served twice. Upstream: pkg/controller/cronjob.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common import cron
from podium.controllers.common.claim import ORPHANS, controlled_by
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, ApiError, NotFound, Object
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.informer import Delta

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
NAME_CHARS_MAX = 52


@dataclass(slots=True, kw_only=True)
class Plan:
    create: Object | None = None
    delete: list[Object] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again_s: float | None = None


def plan(cron_job: Object, jobs: Sequence[Object], now: datetime) -> Plan:
    """Decide what to start and to clear away. `jobs` are the CronJob's own."""
    result = Plan()
    status = dict(cron_job.get("status") or {})
    _follow_active(status, jobs, result)
    _clear_history(cron_job["spec"], jobs, result)
    if not meta.deleting(cron_job) and not cron_job["spec"].get("suspend"):
        _start(cron_job, jobs, status, now, result)
    result.status = {key: value for key, value in status.items() if value not in ([], None)}
    return result


def end_of(job: Object) -> str | None:
    """Return how a Job has ended: Complete, Failed, or None while it has not."""
    return next((type for type in ("Complete", "Failed") if meta.condition_true(job, type)), None)


def _follow_active(status: Object, jobs: Sequence[Object], result: Plan) -> None:
    by_uid = {meta.uid(job): job for job in jobs}
    active = []
    for reference in status.get("active") or ():
        job = by_uid.get(reference.get("uid"))
        if job is None:
            result.events.append(
                ("Normal", "MissingJob", f"Active job went missing: {reference.get('name')}")
            )
        elif end_of(job) is None:
            active.append(reference)
        else:
            message = f"Saw completed job: {meta.name(job)}, condition: {end_of(job)}"
            result.events.append(("Normal", "SawCompletedJob", message))
    for job in jobs:
        completed = (job.get("status") or {}).get("completionTime")
        if end_of(job) == "Complete" and completed:
            status["lastSuccessfulTime"] = max(str(status.get("lastSuccessfulTime") or ""), completed)
    known = {reference.get("uid") for reference in active}
    for job in jobs:
        # One that was made just before this process, or its last status write, ended.
        if end_of(job) is None and meta.uid(job) not in known and not meta.deleting(job):
            active.append(_reference(job))
    status["active"] = active


def _reference(job: Object) -> Object:
    return {
        "kind": "Job",
        "namespace": meta.namespace(job),
        "name": meta.name(job),
        "uid": meta.uid(job),
        "apiVersion": "batch/v1",
        "resourceVersion": str(meta.metadata(job).get("resourceVersion") or ""),
    }


def _clear_history(spec: Object, jobs: Sequence[Object], result: Plan) -> None:
    for end, limit_name, default in (
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ):
        limit = int(spec[limit_name] if spec.get(limit_name) is not None else default)
        ended = [job for job in jobs if end_of(job) == end and not meta.deleting(job)]
        ended.sort(key=lambda job: ((job.get("status") or {}).get("startTime") or "", meta.name(job)))
        result.delete += ended[: max(0, len(ended) - limit)]


def _start(cron_job: Object, jobs: Sequence[Object], status: Object, now: datetime, result: Plan) -> None:
    spec = cron_job["spec"]
    try:
        zone = zone_of(spec)
        schedule = cron.parse(spec["schedule"], zone)
    except ValueError as error:
        message = f'unparseable schedule: "{spec["schedule"]}" : {error}'
        result.events.append(("Warning", "UnparseableSchedule", message))
        return
    due = _latest_due(cron_job, schedule, status, now)
    following = schedule.next_after(now)
    if following is not None:
        result.again_s = (following - now).total_seconds() + 0.1
    if due is None:
        return
    deadline_s = spec.get("startingDeadlineSeconds")
    if deadline_s is not None and due + timedelta(seconds=int(deadline_s)) < now:
        message = f"Missed scheduled time to start a job: {due.strftime('%a, %d %b %Y %H:%M:%S +0000')}"
        result.events.append(("Warning", "MissSchedule", message))
        return
    job = job_for(cron_job, due, zone)
    if any(meta.name(other) == meta.name(job) for other in jobs):
        status["lastScheduleTime"] = rfc3339(due)
        return
    policy = spec.get("concurrencyPolicy") or "Allow"
    active = [other for other in jobs if end_of(other) is None]
    if active and policy == "Forbid":
        message = "Not starting job because prior execution is running and concurrency policy is Forbid"
        result.events.append(("Normal", "JobAlreadyActive", message))
        return
    if policy == "Replace":
        result.delete += [other for other in active if not meta.deleting(other)]
        status["active"] = []
    result.create = job
    status["lastScheduleTime"] = rfc3339(due)


def zone_of(spec: Object) -> tzinfo:
    """Return the schedule's time zone. Raises ValueError."""
    name = spec.get("timeZone")
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name}") from error


def _latest_due(cron_job: Object, schedule: cron.Schedule, status: Object, now: datetime) -> datetime | None:
    """Return the last time of the schedule up to now that comes after the last one served."""
    since = parse_rfc3339(status.get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"])
    if isinstance(schedule, cron.Every):
        passed = (now - since) // schedule.interval
        return since + passed * schedule.interval if passed > 0 else None
    # Look back a little first: after a long stop there may be very many times.
    for window in (timedelta(hours=1), timedelta(days=1), timedelta(days=31), now - since):
        found: datetime | None = None
        start = max(since, now - window)
        while (following := schedule.next_after(found or start)) is not None and following <= now:
            found = following
        if found is not None or start == since:
            return found
    return None


def job_for(cron_job: Object, due: datetime, zone: tzinfo) -> Object:
    """Return the Job for one time of the schedule."""
    template: Object = cron_job["spec"]["jobTemplate"]
    name = f"{meta.name(cron_job)[:NAME_CHARS_MAX]}-{int(due.timestamp()) // 60}"
    local = due.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata: Object = {
        "name": name,
        "namespace": meta.namespace(cron_job),
        "annotations": {**meta.annotations(template), SCHEDULED_AT: local},
        "ownerReferences": [meta.owner_reference(cron_job)],
    }
    if meta.labels(template):
        metadata["labels"] = dict(meta.labels(template))
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": metadata,
        "spec": meta.deep_copy(template["spec"]),
    }


async def _reconcile(context: Context, key: str) -> float | None:
    cron_job = context.caches[CRONJOBS].get(key)
    if cron_job is None:
        return None
    jobs = context.caches[JOBS].by_index(ORPHANS, meta.uid(cron_job))
    decided = plan(cron_job, jobs, context.clock.now())
    for type_, reason, message in decided.events:
        context.recorder.event(cron_job, type_, reason, message)
    for job in decided.delete:
        await _delete(context, cron_job, job)
    status = decided.status
    if decided.create is not None:
        created = await _create(context, cron_job, decided.create)
        if created is not None:
            status = {**status, "active": [*status.get("active", []), _reference(created)]}
    if status != (cron_job.get("status") or {}):
        await context.client.update(CRONJOBS, {**cron_job, "status": status}, subresource="status")
    return decided.again_s


async def _create(context: Context, cron_job: Object, job: Object) -> Object | None:
    try:
        created = await context.client.create(JOBS, job)
    except AlreadyExists:
        return None
    except ApiError as error:
        message = f"Error creating job: {error.message}"
        context.recorder.event(cron_job, "Warning", "FailedCreate", message)
        raise
    context.recorder.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {meta.name(job)}")
    return created


async def _delete(context: Context, cron_job: Object, job: Object) -> None:
    try:
        await context.client.delete(
            JOBS, meta.name(job), meta.namespace(job), propagation="Background", uid=meta.uid(job)
        )
    except NotFound:
        return
    context.recorder.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {meta.name(job)}")


def _keys_of_job(delta: Delta, _caches: Caches) -> Iterable[str]:
    reference = meta.controller_ref(delta.object)
    if reference is None or reference.get("kind") != CRONJOBS.kind:
        return ()
    return (f"{meta.namespace(delta.object)}/{reference['name']}",)


CRONJOB = Controller(
    name="cronjob-controller",
    watches=(
        Watch(resource=CRONJOBS, keys_of=own_key),
        Watch(resource=JOBS, keys_of=_keys_of_job, indexes={ORPHANS: controlled_by}),
    ),
    reconcile=_reconcile,
)
