"""Jobs with ttlSecondsAfterFinished are deleted that long after their end. Upstream: ttlafterfinished."""

from __future__ import annotations

from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339
from podium.controllers.figures import TtlMetrics
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.batch.jobs import JOBS
from podium.runtime.controller import Context, Controller, Watch, own_key


def due_at(job: Object) -> datetime | None:
    """Return when the Job is to be deleted; None while it runs, or when it is kept."""
    ttl_s = (job.get("spec") or {}).get("ttlSecondsAfterFinished")
    if ttl_s is None or meta.deleting(job):
        return None
    for type_ in ("Complete", "Failed"):
        if meta.condition_true(job, type_):
            condition = meta.find_condition(job, type_) or {}
            if condition.get("lastTransitionTime"):
                return parse_rfc3339(condition["lastTransitionTime"]) + timedelta(seconds=int(ttl_s))
    return None


async def _reconcile(context: Context, key: str) -> float | None:
    job = context.caches[JOBS].get(key)
    due = due_at(job) if job is not None else None
    if job is None or due is None:
        return None
    left_s = (due - context.clock.now()).total_seconds()
    if left_s > 0:
        return left_s
    try:
        # Asked for live: the time may have been prolonged since.
        live = await context.client.get(JOBS, meta.name(job), meta.namespace(job))
        due = due_at(live)
        left_s = (due - context.clock.now()).total_seconds() if due is not None else 0.0
        if due is None or left_s > 0:
            return left_s or None
        await context.client.delete(
            JOBS, meta.name(job), meta.namespace(job), propagation="Foreground", uid=meta.uid(live)
        )
        if due is not None:
            late_s = (context.clock.now() - due).total_seconds()
            context.metrics.of(TtlMetrics).late.observe(late_s)
    except NotFound:
        return None
    return None


TTL_AFTER_FINISHED = Controller(
    name="ttl-after-finished-controller",
    watches=(Watch(resource=JOBS, keys_of=own_key),),
    reconcile=_reconcile,
)
