"""CronJobs: a Job at each time of a schedule.

`plan` decides from the clock and the Jobs there are; the Job's name is made from its time, so that no time
can be served twice. A CronJob whose schedule was changed is looked at when the new one has a time.

Upstream: pkg/controller/cronjob.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common import cron
from podium.controllers.common.claim import ORPHANS, controlled_by
from podium.controllers.figures import CronJobMetrics
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, ApiError, NotFound, Object
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from podium.runtime.controller import (
    Caches,
    Context,
    Controller,
    Failed,
    Watch,
    namespace_is_terminating,
)
from podium.runtime.informer import Delta

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
NAME_CHARS_MAX = 52
MISSED_MAX = 100
"""With more missed times than this something seems to be wrong."""
PADDING_S = 0.1
"""Added to waits: clocks are not exact, and a look before the time would be in vain."""


@dataclass(slots=True, kw_only=True)
class Plan:
    create: Object | None = None
    delete: list[Object] = field(default_factory=list)
    """Ended Jobs beyond the history's limits."""
    replace: list[Object] = field(default_factory=list)
    """References to the Jobs that the new one replaces."""
    status: Object = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again_s: float | None = None


def plan(cron_job: Object, jobs: Sequence[Object], now: datetime, elsewhere: Sequence[str] = ()) -> Plan:
    """Decide what to start and to clear away.

    `jobs` are the CronJob's own; `elsewhere` are the names of Jobs it counts as active that are there, but
    are not its own any more.
    """
    result = Plan()
    status = dict(cron_job.get("status") or {})
    _clear_history(cron_job, jobs, result)
    _remember(status, jobs)
    _follow_active(status, jobs, elsewhere, result)
    if not meta.deleting(cron_job):
        _start({**cron_job, "status": status}, status, now, result)
    result.status = {key: value for key, value in status.items() if value not in ([], None)}
    return result


def end_of(job: Object) -> str | None:
    """Return how a Job has ended: Complete, Failed, or None while it has not."""
    return next((type for type in ("Complete", "Failed") if meta.condition_true(job, type)), None)


def _follow_active(status: Object, jobs: Sequence[Object], elsewhere: Sequence[str], result: Plan) -> None:
    active = {str(reference.get("uid")): reference for reference in status.get("active") or ()}
    for job in jobs:
        end = end_of(job)
        if end is None:
            if meta.uid(job) in active:
                continue
            if scheduled_at(job) is not None:  # the status that knew of it was never written
                active[meta.uid(job)] = _reference(job)
            else:
                message = f"Saw a job that the controller did not create or forgot: {meta.name(job)}"
                result.events.append(("Warning", "UnexpectedJob", message))
            continue
        if active.pop(meta.uid(job), None) is not None:
            message = f"Saw completed job: {meta.name(job)}, condition: {end}"
            result.events.append(("Normal", "SawCompletedJob", message))
        completed = (job.get("status") or {}).get("completionTime")
        if end == "Complete" and completed:
            status["lastSuccessfulTime"] = max(str(status.get("lastSuccessfulTime") or ""), completed)
    there = {meta.uid(job) for job in jobs}
    for uid, reference in list(active.items()):
        name = str(reference.get("name"))
        if uid not in there and name not in elsewhere:
            del active[uid]
            result.events.append(("Normal", "MissingJob", f"Active job went missing: {name}"))
    status["active"] = list(active.values())


def _reference(job: Object) -> Object:
    return {
        "kind": "Job",
        "namespace": meta.namespace(job),
        "name": meta.name(job),
        "uid": meta.uid(job),
        "apiVersion": "batch/v1",
        "resourceVersion": str(meta.metadata(job).get("resourceVersion") or ""),
    }


def scheduled_at(job: Object) -> datetime | None:
    """Return the time of the schedule that a Job serves; None for one that was made by hand."""
    text = meta.annotations(job).get(SCHEDULED_AT)
    return parse_rfc3339(text) if text else None


def _served(status: Object) -> datetime | None:
    text = status.get("lastScheduleTime")
    return parse_rfc3339(text) if text else None


def _remember(status: Object, jobs: Sequence[Object]) -> None:
    """A time has been served when its Job is there, also if the status that said so was never written."""
    times = [time for job in jobs if (time := scheduled_at(job)) is not None]
    before = _served(status)
    if times and (before is None or max(times) > before):
        status["lastScheduleTime"] = rfc3339(max(times))


def _clear_history(cron_job: Object, jobs: Sequence[Object], result: Plan) -> None:
    spec, served = cron_job["spec"], _served(cron_job.get("status") or {})
    for end, limit_name in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        if spec.get(limit_name) is None:
            continue
        ended = [job for job in jobs if end_of(job) == end and not meta.deleting(job)]
        # What the stored status does not know of must stay: it is all that says its time was served.
        ended = [job for job in ended if (time := scheduled_at(job)) is None or (served and time <= served)]
        ended.sort(key=_by_start)
        result.delete += ended[: max(0, len(ended) - int(spec[limit_name]))]


def _by_start(job: Object) -> tuple[bool, str, str]:
    """The sort key of Jobs, those that never started last."""
    start = (job.get("status") or {}).get("startTime")
    return not start, start or "", meta.name(job)


def _start(cron_job: Object, status: Object, now: datetime, result: Plan) -> None:
    """Decide whether a time of the schedule is to be served now."""
    spec = cron_job["spec"]
    schedule = _schedule(spec, result)
    if schedule is None:
        return
    try:
        due = _due(cron_job, schedule, now, result)
    except ValueError as error:
        message = f"invalid schedule: {spec['schedule']} : {error}"
        result.events.append(("Warning", "InvalidSchedule", message))
        return
    result.again_s = wait_s(cron_job, schedule, now)
    if due is None:
        return
    deadline_s = spec.get("startingDeadlineSeconds")
    if deadline_s is not None and due + timedelta(seconds=int(deadline_s)) < now:
        message = f"Missed scheduled time to start a job: {due.strftime('%a, %d %b %Y %H:%M:%S +0000')}"
        result.events.append(("Warning", "MissSchedule", message))
        return
    job = job_for(cron_job, due)
    active = status["active"]
    if status.get("lastScheduleTime") == rfc3339(due) or any(r.get("name") == meta.name(job) for r in active):
        return
    policy = spec.get("concurrencyPolicy") or "Allow"
    if active and policy == "Forbid":
        message = "Not starting job because prior execution is running and concurrency policy is Forbid"
        result.events.append(("Normal", "JobAlreadyActive", message))
        return
    if policy == "Replace":
        result.replace = list(active)
        status["active"] = []
    result.create = job
    status["lastScheduleTime"] = rfc3339(due)


def _schedule(spec: Object, result: Plan) -> cron.Schedule | None:
    """Return the schedule, None when nothing is to be started by it."""
    zone_name, text = spec.get("timeZone") or "", str(spec["schedule"])
    try:
        zone = cron.zone_called(zone_name)
    except ValueError as error:
        message = f'invalid timeZone: "{zone_name}": {error}'
        result.events.append(("Warning", "UnknownTimeZone", message))
        return None
    if spec.get("suspend"):
        return None
    if "TZ" in text:
        message = (
            f'CRON_TZ or TZ used in schedule "{text}" is not officially supported, see '
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
        result.events.append(("Warning", "UnsupportedSchedule", message))
    try:
        return cron.parse(text, zone)
    except ValueError as error:
        message = f'unparseable schedule: "{text}" : {error}'
        result.events.append(("Warning", "UnparseableSchedule", message))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recent:
    """The times of a schedule since one was last served."""

    since: datetime
    latest: datetime | None
    missed: int


def _recent(cron_job: Object, schedule: cron.Schedule, now: datetime, *, within_deadline: bool) -> _Recent:
    """Look for the latest time up to now. Raises ValueError when the schedule has no times.

    How many were missed is estimated from the first two, and the search begins where that puts the last but
    one: of a schedule with long gaps (nights, weekends) a time from before the gap is then not found, which
    is upstream's way.
    """
    served = (cron_job.get("status") or {}).get("lastScheduleTime")
    since = parse_rfc3339(served or cron_job["metadata"]["creationTimestamp"])
    deadline_s = cron_job["spec"].get("startingDeadlineSeconds")
    if within_deadline and deadline_s is not None:
        since = max(since, now - timedelta(seconds=int(deadline_s)))
    first = schedule.next_after(since)
    second = schedule.next_after(first) if first is not None else None
    if first is not None and now < first:
        return _Recent(since=since, latest=None, missed=0)
    if first is None or second is None:
        raise ValueError("time difference between two schedules is less than 1 second")
    if now < second:
        return _Recent(since=since, latest=first, missed=0)
    interval = second - first
    missed = (now - first) // interval + 1
    found: datetime | None = None
    moment = schedule.next_after(first + (missed - 2) * interval)
    while moment is not None and moment <= now:
        found, moment = moment, schedule.next_after(moment)
    return _Recent(since=since, latest=found, missed=missed)


def _due(cron_job: Object, schedule: cron.Schedule, now: datetime, result: Plan) -> datetime | None:
    """Return the time that is to be served. Raises ValueError when the schedule has no times."""
    recent = _recent(cron_job, schedule, now, within_deadline=True)
    if recent.latest is not None and recent.missed > MISSED_MAX:
        message = (
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        )
        result.events.append(("Warning", "TooManyMissedTimes", message))
    return recent.latest


def wait_s(cron_job: Object, schedule: cron.Schedule, now: datetime) -> float | None:
    """Return in how many seconds the schedule has its next time."""
    try:
        recent = _recent(cron_job, schedule, now, within_deadline=False)
    except ValueError:
        return None
    base = recent.latest or (now if recent.missed else recent.since)
    following = schedule.next_after(base)
    return (following - now).total_seconds() + PADDING_S if following is not None else None


def job_for(cron_job: Object, due: datetime) -> Object:
    """Return the Job for one time of the schedule."""
    template: Object = cron_job["spec"]["jobTemplate"]
    zone = cron.zone_called(cron_job["spec"].get("timeZone") or "")
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


_CHANGED = "changed:"
"""Keys of CronJobs whose schedule was changed."""


async def _reconcile(context: Context, key: str) -> float | None:
    if key.startswith(_CHANGED):
        _await_changed_schedule(context, key.removeprefix(_CHANGED))
        return None
    cron_job = context.caches[CRONJOBS].get(key)
    if cron_job is None:
        return None
    now = context.clock.now()
    jobs = context.caches[JOBS].by_index(ORPHANS, meta.uid(cron_job))
    decided = plan(cron_job, jobs, now, await _elsewhere(context, cron_job, jobs))
    for type_, reason, message in decided.events:
        context.recorder.event(cron_job, type_, reason, message)
    for job in decided.delete:
        await _delete(context, cron_job, job)
    status = decided.status if decided.create is None else _unserved(cron_job, decided)
    error: Exception | None = None
    try:
        if decided.create is not None:
            status = await _serve(context, cron_job, decided, decided.create) or status
    except (ApiError, OSError) as failure:
        error = failure  # and no `finally`: one that is cancelled must not write any more
    if status != (cron_job.get("status") or {}):
        await context.client.update(CRONJOBS, {**cron_job, "status": status}, subresource="status")
    if error is not None:
        raise error
    return decided.again_s


def _await_changed_schedule(context: Context, key: str) -> None:
    """Have a CronJob looked at when its changed schedule has a time.

    The times that it would have had before the change are not made up for.
    """
    cron_job = context.caches[CRONJOBS].get(key)
    if cron_job is None:
        return
    spec = cron_job["spec"]
    try:
        schedule = cron.parse(str(spec["schedule"]), cron.zone_called(spec.get("timeZone") or ""))
    except ValueError:
        message = f"unparseable schedule for cronjob: {spec['schedule']}"
        context.recorder.event(cron_job, "Warning", "UnParseableCronJobSchedule", message)
        return
    wait = wait_s(cron_job, schedule, context.clock.now())
    if wait is not None:
        context.queue.add_after(key, max(0.0, wait))


async def _elsewhere(context: Context, cron_job: Object, jobs: Sequence[Object]) -> list[str]:
    """Return the names of active Jobs that are not among `jobs`, but are there."""
    there = {meta.uid(job) for job in jobs}
    names = []
    for reference in (cron_job.get("status") or {}).get("active") or ():
        if reference.get("uid") in there:
            continue
        try:
            await context.client.get(JOBS, str(reference.get("name")), meta.namespace(cron_job))
            names.append(str(reference.get("name")))
        except NotFound:
            continue
    return names


def _unserved(cron_job: Object, decided: Plan) -> Object:
    """Return the status when the Job that was planned could not be started."""
    status = {**decided.status, "active": [*decided.replace, *decided.status.get("active", [])]}
    status["lastScheduleTime"] = (cron_job.get("status") or {}).get("lastScheduleTime")
    return {name: value for name, value in status.items() if value}


async def _serve(context: Context, cron_job: Object, decided: Plan, job: Object) -> Object | None:
    """Start the Job of one time, in place of others if so planned; return the status that comes of it.

    None: a Job of its name is somebody else's.
    """
    for reference in decided.replace:
        await _replace(context, cron_job, str(reference.get("name")))
    created = await _create(context, cron_job, job)
    if created is None:
        return None
    active: list[Object] = list(decided.status.get("active", []))
    if any(r.get("uid") == meta.uid(created) for r in active):
        return decided.status
    return {**decided.status, "active": [*active, _reference(created)]}


async def _replace(context: Context, cron_job: Object, name: str) -> None:
    try:
        job = await context.client.get(JOBS, name, meta.namespace(cron_job))
    except ApiError as error:
        context.recorder.event(cron_job, "Warning", "FailedGet", f"Get job: {error.message}")
        raise
    if not await _delete(context, cron_job, job):
        raise Failed(f"could not replace job {meta.key(job)}")


async def _create(context: Context, cron_job: Object, job: Object) -> Object | None:
    """Make the Job; return it, None when one of its name is somebody else's."""
    try:
        created = await context.client.create(JOBS, job)
    except AlreadyExists:
        # Made just before this process, or its last write of the status, ended; or by somebody else.
        live = await context.client.get(JOBS, meta.name(job), meta.namespace(job))
        return live if meta.controlled_by(live, cron_job) else None
    except ApiError as error:
        if not namespace_is_terminating(error):
            message = f"Error creating job: {error.message}"
            context.recorder.event(cron_job, "Warning", "FailedCreate", message)
        raise
    due = scheduled_at(job)
    if due is not None:
        late_s = (context.clock.now() - due).total_seconds()
        context.metrics.of(CronJobMetrics).skew.observe(late_s)
    context.recorder.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {meta.name(job)}")
    return created


async def _delete(context: Context, cron_job: Object, job: Object) -> bool:
    """Delete a Job; return whether it is gone or going."""
    try:
        await context.client.delete(
            JOBS, meta.name(job), meta.namespace(job), propagation="Background", uid=meta.uid(job)
        )
    except NotFound:
        return True
    except ApiError as error:
        context.recorder.event(cron_job, "Warning", "FailedDelete", f"Deleted job: {error.message}")
        return False
    context.recorder.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {meta.name(job)}")
    return True


def _keys_of_cron_job(delta: Delta, _caches: Caches) -> Iterable[str]:
    key = meta.key(delta.object)
    if delta.old is not None and delta.new is not None and _times(delta.old) != _times(delta.new):
        return (_CHANGED + key,)
    return (key,)


def _times(cron_job: Object) -> tuple[object, ...]:
    return cron_job["spec"].get("schedule"), cron_job["spec"].get("timeZone")


def _keys_of_job(delta: Delta, _caches: Caches) -> Iterable[str]:
    reference = meta.controller_ref(delta.object)
    if reference is None or reference.get("kind") != CRONJOBS.kind:
        return ()
    return (f"{meta.namespace(delta.object)}/{reference['name']}",)


CRONJOB = Controller(
    name="cronjob-controller",
    watches=(
        Watch(resource=CRONJOBS, keys_of=_keys_of_cron_job),
        Watch(resource=JOBS, keys_of=_keys_of_job, indexes={ORPHANS: controlled_by}),
    ),
    reconcile=_reconcile,
)
