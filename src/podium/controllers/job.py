"""Jobs: pods that run to their end, as many as wanted, tried again a limited number of times.

`plan` (in `job_plan`) says the next writes, in this order: pods, the status, finalizers. A pod's finalizer
goes after the status knows of its end, and a status says no more pods are there than could be made.

Upstream: pkg/controller/job.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from podium.controllers.common import pods as podlib
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.pod_control import create_pod, delete_pod, in_parallel, slow_start
from podium.controllers.figures import JobMetrics
from podium.controllers.job_plan import TRACKING, Failures, Plan, plan, pod_for
from podium.machinery import labels, meta
from podium.machinery.errors import NotFound, Object
from podium.resources.batch.jobs import JOBS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

OURS = "kubernetes.io/job-controller"
"""The value of managedBy that means this controller, as none does."""
_ORPHAN = "orphan:"
"""Keys of pods that have our finalizer and, it seems, no Job."""


async def _measured(context: Context, key: str, failures: dict[str, tuple[str, Failures]]) -> float | None:
    """Look at a Job, and count it."""
    job = context.caches[JOBS].get(key)
    if job is None:
        return await _reconcile(context, key, failures)
    metrics, began_s, result = context.metrics.of(JobMetrics), context.clock.monotonic_s(), "error"
    try:
        again_s = await _reconcile(context, key, failures)
        result = "success"
    finally:
        metrics.look(job, result, context.clock.monotonic_s() - began_s)
    return again_s


async def _reconcile(context: Context, key: str, failures: dict[str, tuple[str, Failures]]) -> float | None:
    if key.startswith(_ORPHAN):
        await _release_orphan(context, key.removeprefix(_ORPHAN))
        return None
    job = context.caches[JOBS].get(key)
    if job is None:
        failures.pop(key, None)
        await _release_orphans(context, key)
        return None
    if is_managed_elsewhere(job):
        return None
    cache = context.caches[PODS]
    selector = labels.from_label_selector(job["spec"].get("selector"))
    candidates = [
        *cache.by_index(ORPHANS, meta.uid(job)),
        *cache.by_index(ORPHANS, f"{meta.namespace(job)}/"),
    ]
    claims = plan_claims(job, selector, candidates)
    pods = await claim(context.client, JOBS, job, PODS, claims, finalizer=TRACKING)
    uid, before = failures.get(key, ("", Failures()))
    decided = plan(job, pods, context.clock.now(), before if uid == meta.uid(job) else None)
    before_status = job.get("status") or {}
    done = await _act(context, job, decided)
    context.metrics.of(JobMetrics).acted(key, created=done.created, deleted=len(done.gone))
    status = _as_it_came(decided, done)
    if status != job.get("status"):
        job = await context.client.update(JOBS, {**job, "status": status}, subresource="status")
        job = {"apiVersion": JOBS.api_version, "kind": JOBS.kind, **job}
        failures[key] = (meta.uid(job), decided.failures)
        context.metrics.of(JobMetrics).wrote(before_status, job)
    for type_, reason, message in decided.events:
        context.recorder.event(job, type_, reason, message)

    async def release(pod: Object) -> None:
        await _release(context, pod)

    error = await in_parallel(decided.release, release) or done.error
    if error is not None:
        raise error
    if is_finished(job):
        failures.pop(key, None)
    return decided.again_s


@dataclass(slots=True, kw_only=True)
class _Done:
    """What came of a plan's pods."""

    created: int = 0
    gone: list[Object] = field(default_factory=list)
    error: Exception | None = None


async def _act(context: Context, job: Object, decided: Plan) -> _Done:
    done = _Done()

    async def delete(pod: Object) -> None:
        await delete_pod(context, job, pod)
        done.gone.append(pod)

    async def remove(pod: Object) -> None:
        await _release(context, pod, as_seen=True)  # one that has ended meanwhile is to be counted
        await delete(pod)

    async def create(index: int | None) -> None:
        counts = decided.counts.get(index) if index is not None else None
        await create_pod(context, job, pod_for(job, index, counts))
        done.created += 1

    done.error = await in_parallel(decided.delete, delete)
    done.error = await in_parallel(decided.remove, remove) or done.error
    done.error = await slow_start(decided.create, create) or done.error
    return done


def _as_it_came(decided: Plan, done: _Done) -> Object:
    """Return the planned status, less what could not be done; nothing has ended then."""
    if done.error is None:
        return decided.status
    kept = [pod for pod in (*decided.delete, *decided.remove) if pod not in done.gone]
    status = {
        **decided.status,
        "active": decided.status.get("active", 0) - len(decided.create) + done.created + len(kept),
        "ready": decided.status["ready"] + sum(podlib.is_ready(pod) for pod in kept),
        "terminating": decided.status["terminating"] - len(kept),
    }
    if not status["active"]:
        del status["active"]
    return status


def is_managed_elsewhere(job: Object) -> bool:
    return job["spec"].get("managedBy") not in (None, OURS)


def is_finished(job: Object) -> bool:
    return any(meta.condition_true(job, type) for type in ("Complete", "Failed"))


async def _release(context: Context, pod: Object, *, as_seen: bool = False) -> None:
    """Remove our finalizer from the pod. `as_seen`: raises Conflict when the pod has changed since."""
    metadata: Object = {"uid": meta.uid(pod), "$deleteFromPrimitiveList/finalizers": [TRACKING]}
    if as_seen:
        metadata["resourceVersion"] = meta.metadata(pod)["resourceVersion"]
    try:
        await context.client.patch(
            PODS, meta.name(pod), {"metadata": metadata}, meta.namespace(pod), type="strategic"
        )
    except NotFound:
        return


async def _release_orphans(context: Context, key: str) -> None:
    """The Job is gone: nobody will count its pods any more."""
    namespace, name = meta.split_key(key)
    for pod in context.caches[PODS].list(namespace):
        reference = meta.controller_ref(pod)
        if reference is not None and _is_job(reference) and reference.get("name") == name:
            await _release_orphan(context, meta.key(pod))


async def _release_orphan(context: Context, key: str) -> None:
    pod = context.caches[PODS].get(key)
    if pod is not None and is_orphan(pod, context.caches):
        await _release(context, pod, as_seen=True)  # it may be adopted just now


def is_orphan(pod: Object, caches: Caches) -> bool:
    """Whether a pod has our finalizer, and no Job that will count it."""
    if TRACKING not in meta.finalizers(pod):
        return False
    reference = meta.controller_ref(pod)
    if reference is None:
        return True
    if not _is_job(reference):
        return False
    job = caches[JOBS].get(f"{meta.namespace(pod)}/{reference['name']}")
    if job is None or meta.uid(job) != reference.get("uid"):
        return True
    return is_finished(job) and not is_managed_elsewhere(job)


def _is_job(reference: Object) -> bool:
    return bool(reference.get("kind") == JOBS.kind and reference.get("apiVersion") == JOBS.api_version)


def _keys_of_job(delta: Delta, caches: Caches) -> Iterable[str]:
    """The Job's key; of one that is gone also its pods, as another one may have its name already."""
    keys = [meta.key(delta.object)]
    if delta.new is None:
        pods = caches[PODS].by_index(ORPHANS, meta.uid(delta.object))
        keys += [_ORPHAN + meta.key(pod) for pod in pods if TRACKING in meta.finalizers(pod)]
    return keys


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    keys: set[str] = set()
    for pod in (delta.old, delta.new):
        reference = meta.controller_ref(pod) if pod is not None else None
        if pod is not None and reference is not None and reference.get("kind") == JOBS.kind:
            keys.add(f"{meta.namespace(pod)}/{reference['name']}")
    pod = delta.new
    if pod is None:
        return keys
    if is_orphan(pod, caches):
        keys.add(_ORPHAN + meta.key(pod))
    if meta.controller_ref(pod) is None and not meta.deleting(pod):
        for job in caches[JOBS].list(meta.namespace(pod)):
            if labels.from_label_selector(job["spec"].get("selector")).matches(meta.labels(pod)):
                keys.add(meta.key(job))
    return keys


def job_controller() -> Controller:
    """Return the controller. What it remembers of failures in a row ends with it."""
    failures: dict[str, tuple[str, Failures]] = {}

    async def reconcile(context: Context, key: str) -> float | None:
        return await _measured(context, key, failures)

    return Controller(
        name="job-controller",
        watches=(
            Watch(resource=JOBS, keys_of=_keys_of_job),
            Watch(resource=PODS, keys_of=_keys_of_pod, indexes={ORPHANS: controlled_by}),
        ),
        reconcile=reconcile,
        workers=8,
    )
