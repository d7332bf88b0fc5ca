"""Jobs: pods that run to their end, as many as wanted, tried again a limited number of times.

A pod's end must be counted once and only once, though pods may be deleted and this process may die at any
moment. So each pod carries a finalizer until it is counted, in three steps that can each be repeated:

  1. the uid of an ended pod is put into status.uncountedTerminatedPods;
  2. its finalizer is removed;
  3. once it is seen without the finalizer (or gone), the uid becomes one of succeeded or failed.

Pod failure policies, success policies and limits per index are in job_policies.py. Where indexes have limits,
the last failed pod of an index keeps its finalizer until its successor is there, which takes its count over.

Upstream: pkg/controller/job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from podium.base.backoff import Backoff
from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common import indexes as indexlib
from podium.controllers.common import pods as podlib
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.pod_control import (
    BURST_MAX,
    create_pod,
    delete_pod,
    in_parallel,
    pod_from_template,
    slow_start,
)
from podium.controllers.common.status import condition_of, without_zeros
from podium.controllers.job_policies import (
    INDEX,
    attempts,
    completion_index,
    count_annotations,
    index_failed,
    index_limit,
    latest,
    success,
    verdict,
)
from podium.machinery import labels, meta
from podium.machinery.errors import NotFound, Object
from podium.resources.batch.jobs import JOBS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.informer import Delta

TRACKING = "batch.kubernetes.io/job-tracking"
FAILURE_BACKOFF = Backoff(initial_s=10.0, max_s=600.0)


@dataclass(slots=True, kw_only=True)
class Plan:
    create: list[int | None] = field(default_factory=list)
    """One entry for each pod to make: its completion index, None in a Job without indexes."""
    counts: dict[int, dict[str, str]] = field(default_factory=dict)
    """Where indexes have limits: annotations of the pods to make that say how often their index failed."""
    delete: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)
    """The pods whose end is noted in the status: their finalizer goes."""
    status: Object = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again_s: float | None = None


def plan(job: Object, pods: Sequence[Object], now: datetime) -> Plan:
    """Decide the next step. `pods` are the Job's own."""
    return _Step(job, pods, now).plan()


class _Step:
    def __init__(self, job: Object, pods: Sequence[Object], now: datetime) -> None:
        self.job = job
        self.spec: Object = job["spec"]
        self.pods = pods
        self.now = now
        self.at = rfc3339(now)
        old: Object = job.get("status") or {}
        self.status: Object = dict(old)
        self.conditions: list[Object] = list(old.get("conditions") or ())
        self.indexed = self.spec.get("completionMode") == "Indexed"
        self.completions: int | None = self.spec.get("completions")
        self.parallelism = int(self.spec["parallelism"] if self.spec.get("parallelism") is not None else 1)
        uncounted: Object = old.get("uncountedTerminatedPods") or {}
        self.uncounted = {kind: list(uncounted.get(kind) or ()) for kind in ("succeeded", "failed")}
        self.succeeded = int(old.get("succeeded") or 0)
        self.failed = int(old.get("failed") or 0)
        self.done_indexes = indexlib.parse(str(old.get("completedIndexes") or ""))
        self.failed_indexes = indexlib.parse(str(old.get("failedIndexes") or ""))
        self.limited = self.indexed and self.spec.get("backoffLimitPerIndex") is not None
        self.policy: Object | None = self.spec.get("podFailurePolicy")
        self.policy_failure = ""
        """Why the pod failure policy fails the Job."""
        self.result = Plan()

    def plan(self) -> Plan:
        if self._finished():
            self._let_go()
            return self.result
        self._suspension()
        self._count()
        active = [pod for pod in self.pods if podlib.is_active(pod)]
        failure = self._failure(active) if not self._has("SuccessCriteriaMet") else None
        succeeded = self._success() if failure is None else None
        if failure is not None:
            self._fail(active, *failure)
        elif succeeded is not None:
            self.result.delete = active
            self._conclude("SuccessCriteriaMet", "Complete", *succeeded, active)
        elif self.spec.get("suspend"):
            self.result.delete = active
        elif self._is_complete(active):
            self.result.delete = active
            self._conclude("SuccessCriteriaMet", "Complete", "CompletionsReached", _REACHED, active)
        elif not meta.deleting(self.job):
            self._keep_up(active)
        self._write_status(active)
        return self.result

    def _finished(self) -> bool:
        return any(self._has(type) for type in ("Complete", "Failed"))

    def _has(self, type: str) -> bool:
        found = condition_of(self.conditions, type)
        return found is not None and found.get("status") == "True"

    def _let_go(self) -> None:
        """A Job that has ended holds no pod back."""
        self.result.status = self.job.get("status") or {}
        self.result.release = [pod for pod in self.pods if TRACKING in meta.finalizers(pod)]

    def _suspension(self) -> None:
        current = condition_of(self.conditions, "Suspended")
        suspended = current is not None and current.get("status") == "True"
        if self.spec.get("suspend"):
            if not suspended:
                self._put("Suspended", "True", "JobSuspended", "Job suspended")
                self.result.events.append(("Normal", "Suspended", "Job suspended"))
            self.status.pop("startTime", None)
            return
        if suspended:
            self._put("Suspended", "False", "JobResumed", "Job resumed")
            self.result.events.append(("Normal", "Resumed", "Job resumed"))
            self.status["startTime"] = self.at
        self.status.setdefault("startTime", self.at)

    def _count(self) -> None:
        """Take the pods that have ended through the three steps."""
        by_uid = {meta.uid(pod): pod for pod in self.pods}
        for kind, uids in self.uncounted.items():
            for uid in list(uids):
                pod = by_uid.get(uid)
                if pod is not None and TRACKING in meta.finalizers(pod):
                    self.result.release.append(pod)
                    continue
                uids.remove(uid)
                if kind == "failed":
                    self.failed += 1
                elif not self.indexed:
                    self.succeeded += 1
        for pod in self.pods:
            if TRACKING not in meta.finalizers(pod) or any(
                meta.uid(pod) in u for u in self.uncounted.values()
            ):
                continue
            if podlib.phase(pod) == "Succeeded":
                index = completion_index(pod)
                if self.indexed and index is not None:
                    self.done_indexes.add(index)
                self.uncounted["succeeded"].append(meta.uid(pod))
            elif meta.deleting(pod) and self.spec.get("suspend"):
                pass  # ended by being suspended: that is no failure
            elif podlib.phase(pod) == "Failed" or self._counts_as_failed(pod):
                if self._is_kept(pod):
                    continue
                if self._note_failure(pod):
                    self.uncounted["failed"].append(meta.uid(pod))
            else:
                continue
            self.result.release.append(pod)
        if self.indexed:
            self.succeeded = len(self.done_indexes)

    def _note_failure(self, pod: Object) -> bool:
        """Take in what the pod's failure means; say whether it counts."""
        judged = verdict(self.policy, pod)
        self.policy_failure = self.policy_failure or judged.fails_job
        return judged.counts

    def _is_kept(self, pod: Object) -> bool:
        """Say whether a failed pod has yet to hand its index's count to a successor.

        Where the failure ends the index, there is none.
        """
        index = completion_index(pod)
        if not self.limited or index is None:
            return False
        if index_failed(self.spec, pod):
            self.failed_indexes.add(index)
        if index in self.done_indexes or index in self.failed_indexes:
            return False
        if self._has("FailureTarget") or self._has("SuccessCriteriaMet") or meta.deleting(self.job):
            return False
        return not verdict(self.policy, pod).fails_job and latest(self.pods).get(index) is pod

    def _counts_as_failed(self, pod: Object) -> bool:
        """A pod being deleted: it may go without ever saying that it failed, and nothing may hold it then."""
        waits = self.spec.get("podReplacementPolicy") == "Failed" and not meta.deleting(self.job)
        return meta.deleting(pod) and (not waits or not podlib.node_name(pod))

    def _totals(self) -> tuple[int, int]:
        """Return (succeeded, failed), those noted but not yet counted included."""
        noted = 0 if self.indexed else len(self.uncounted["succeeded"])
        return self.succeeded + noted, self.failed + len(self.uncounted["failed"])

    def _failure(self, active: Sequence[Object]) -> tuple[str, str] | None:
        target = condition_of(self.conditions, "FailureTarget")
        if target is not None:
            return target["reason"], target["message"]
        if self.policy_failure:
            return "PodFailurePolicy", self.policy_failure
        _, failed = self._totals()
        limit = int(self.spec["backoffLimit"] if self.spec.get("backoffLimit") is not None else 6)
        restarts = 0
        if meta.dig(self.spec, "template", "spec", "restartPolicy") == "OnFailure":
            restarts = sum(podlib.restarts(pod) for pod in active)
        if failed > limit or (restarts and restarts >= limit):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        left_s = self._deadline_in_s()
        if left_s is not None and left_s <= 0:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        return index_limit(self.spec, self.done_indexes, self.failed_indexes) if self.limited else None

    def _success(self) -> tuple[str, str] | None:
        """Return reason and message of a success before all is done."""
        met = condition_of(self.conditions, "SuccessCriteriaMet")
        if met is not None and met.get("status") == "True":
            return met["reason"], met["message"]
        reached = success(self.spec.get("successPolicy"), self.done_indexes) if self.indexed else None
        return ("SuccessPolicy", reached) if reached is not None else None

    def _deadline_in_s(self) -> float | None:
        seconds, start = self.spec.get("activeDeadlineSeconds"), self.status.get("startTime")
        if seconds is None or not start or self.spec.get("suspend"):
            return None
        return (parse_rfc3339(start) + timedelta(seconds=int(seconds)) - self.now).total_seconds()

    def _is_complete(self, active: Sequence[Object]) -> bool:
        succeeded, _ = self._totals()
        if self.completions is None:
            return succeeded > 0 and not active
        return succeeded >= self.completions

    def _fail(self, active: list[Object], reason: str, message: str) -> None:
        self.result.delete = active
        self._conclude("FailureTarget", "Failed", reason, message, active)

    def _conclude(self, early: str, final: str, reason: str, message: str, active: Sequence[Object]) -> None:
        """Say what the end will be, and that it has come once no pod is left to be counted."""
        if not self._has(early):
            self._put(early, "True", reason, message)
        left = [pod for pod in self.pods if not podlib.is_finished(pod)]
        if left or self.uncounted["succeeded"] or self.uncounted["failed"]:
            return
        self._put(final, "True", reason, message)
        if final == "Complete":
            self.status["completionTime"] = self.at
            self.result.events.append(("Normal", "Completed", "Job completed"))
        else:
            self.result.events.append(("Warning", reason, message))

    def _keep_up(self, active: list[Object]) -> None:
        """Make or delete pods so that as many run as should."""
        succeeded, failed = self._totals()
        if self.completions is None:
            wanted = len(active) if succeeded else self.parallelism
            wanted = min(wanted, self.parallelism)
        else:
            wanted = min(self.parallelism, self.completions - succeeded - len(self.failed_indexes))
        if len(active) > wanted:
            order = sorted(active, key=lambda p: (podlib.is_ready(p), podlib.phase(p) == "Running"))
            self.result.delete = order[: len(active) - wanted]
            return
        missing = min(wanted - len(active), BURST_MAX)
        if self.spec.get("podReplacementPolicy") == "Failed":
            missing -= sum(podlib.is_terminating(pod) for pod in self.pods)
        if missing <= 0:
            return
        wait_s = 0.0 if self.limited else self._backoff_s(failed)
        if wait_s > 0:
            self.result.again_s = wait_s
            return
        if self.indexed:
            assert self.completions is not None
            taken = self.done_indexes | self.failed_indexes | {completion_index(pod) for pod in active}
            free = [index for index in range(self.completions) if index not in taken]
            if self.limited:
                free = self._rested(free)
            self.result.create = list(free[:missing])
        else:
            self.result.create = [None] * missing

    def _rested(self, free: Sequence[int]) -> list[int]:
        """Return the indexes whose own back-off is over, and note what their pods are to carry."""
        rested = []
        before = latest(self.pods)
        for index in free:
            replaced = before.get(index)
            failed_at = finished_at(replaced) if replaced is not None else None
            if replaced is not None and failed_at is not None:
                due = failed_at + timedelta(seconds=FAILURE_BACKOFF.delay_s(attempts(replaced) + 1))
                wait_s = (due - self.now).total_seconds()
                if wait_s > 0:
                    self.result.again_s = min(wait_s, self.result.again_s or wait_s)
                    continue
            rested.append(index)
            self.result.counts[index] = count_annotations(self.spec, replaced)
        return rested

    def _backoff_s(self, failed: int) -> float:
        """Return how long to wait after the last failure."""
        ends = [end for pod in self.pods if podlib.phase(pod) == "Failed" and (end := finished_at(pod))]
        if not failed or not ends:
            return 0.0
        due = max(ends) + timedelta(seconds=FAILURE_BACKOFF.delay_s(failed))
        return max(0.0, (due - self.now).total_seconds())

    def _put(self, type: str, status: str, reason: str, message: str) -> None:
        new = {
            "type": type,
            "status": status,
            "lastProbeTime": self.at,
            "lastTransitionTime": self.at,
            "reason": reason,
            "message": message,
        }
        others = [condition for condition in self.conditions if condition.get("type") != type]
        self.conditions = [*others, new]

    def _write_status(self, active: Sequence[Object]) -> None:
        gone = {meta.uid(pod) for pod in self.result.delete}
        stay = [pod for pod in active if meta.uid(pod) not in gone]
        status = {
            **self.status,
            "active": len(stay) + len(self.result.create),
            "ready": sum(podlib.is_ready(pod) for pod in stay),
            "terminating": sum(podlib.is_terminating(pod) for pod in self.pods),
            "succeeded": self.succeeded,
            "failed": self.failed,
            "uncountedTerminatedPods": {kind: uids for kind, uids in self.uncounted.items() if uids},
            "conditions": self.conditions,
        }
        if self.indexed:
            status["completedIndexes"] = indexlib.text(self.done_indexes)
        if self.limited:
            status["failedIndexes"] = indexlib.text(self.failed_indexes)
        kept = ("ready", "terminating", "uncountedTerminatedPods", "failedIndexes")
        self.result.status = without_zeros(status, keep=kept)
        left_s = self._deadline_in_s()
        if left_s is not None and left_s > 0 and not self._finished():
            waits = [left_s] if self.result.again_s is None else [left_s, self.result.again_s]
            self.result.again_s = min(waits)


_REACHED = "Reached expected number of succeeded pods"


def finished_at(pod: Object) -> datetime | None:
    """Return when the last container ended; else when the pod's conditions last changed."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    ends = [meta.dig(status, "state", "terminated", "finishedAt") for status in statuses]
    times = [parse_rfc3339(end) for end in ends if end]
    return max(times, default=None) or podlib.created_at(pod)


def pod_for(job: Object, index: int | None, counts: dict[str, str] | None = None) -> Object:
    """Return the next pod of a Job. `counts` are the annotations with the failures of its index."""
    pod = pod_from_template(job["spec"]["template"], job)
    metadata = pod["metadata"]
    metadata["finalizers"] = [*metadata.get("finalizers", []), TRACKING]
    if index is None:
        return pod
    metadata["generateName"] = f"{meta.name(job)}-{index}-"
    metadata.setdefault("annotations", {}).update({INDEX: str(index), **(counts or {})})
    metadata.setdefault("labels", {})[INDEX] = str(index)
    spec = pod["spec"]
    spec.setdefault("hostname", f"{meta.name(job)}-{index}")
    variable = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}},
    }
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        environment = container.setdefault("env", [])
        if not any(entry.get("name") == variable["name"] for entry in environment):
            environment.append(variable)
    return pod


async def _reconcile(context: Context, key: str) -> float | None:
    job = context.caches[JOBS].get(key)
    if job is None:
        await _release_orphans(context, key)
        return None
    if job["spec"].get("managedBy") not in (None, "kubernetes.io/job-controller"):
        return None
    cache = context.caches[PODS]
    selector = labels.from_label_selector(job["spec"].get("selector"))
    candidates = [
        *cache.by_index(ORPHANS, meta.uid(job)),
        *cache.by_index(ORPHANS, f"{meta.namespace(job)}/"),
    ]
    pods = await claim(context.client, JOBS, job, PODS, plan_claims(job, selector, candidates))
    decided = plan(job, pods, context.clock.now())
    # First the status: it must know of an ended pod before that pod may go.
    if decided.status != job.get("status"):
        job = await context.client.update(JOBS, {**job, "status": decided.status}, subresource="status")
        job = {"apiVersion": JOBS.api_version, "kind": JOBS.kind, **job}
    for type_, reason, message in decided.events:
        context.recorder.event(job, type_, reason, message)

    async def release(pod: Object) -> None:
        await _release(context, pod)

    async def delete(pod: Object) -> None:
        await delete_pod(context, job, pod)

    async def create(index: int | None) -> None:
        await create_pod(
            context, job, pod_for(job, index, decided.counts.get(index if index is not None else -1))
        )

    error = await in_parallel(decided.release, release)
    error = await in_parallel(decided.delete, delete) or error
    error = await slow_start(decided.create, create) or error
    if error is not None:
        raise error
    return decided.again_s


async def _release(context: Context, pod: Object) -> None:
    """Remove our finalizer from the pod."""
    left = [name for name in meta.finalizers(pod) if name != TRACKING]
    patch = {
        "metadata": {
            "uid": meta.uid(pod),
            "resourceVersion": meta.metadata(pod)["resourceVersion"],
            "finalizers": left or None,
        }
    }
    try:
        await context.client.patch(PODS, meta.name(pod), patch, meta.namespace(pod))
    except NotFound:
        return


async def _release_orphans(context: Context, key: str) -> None:
    """The Job is gone: nobody will count its pods any more."""
    namespace, name = meta.split_key(key)
    for pod in context.caches[PODS].list(namespace):
        reference = meta.controller_ref(pod)
        if reference is None or reference.get("kind") != JOBS.kind or reference.get("name") != name:
            continue
        if TRACKING in meta.finalizers(pod):
            await _release(context, pod)


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    keys: set[str] = set()
    for pod in (delta.old, delta.new):
        reference = meta.controller_ref(pod) if pod is not None else None
        if pod is not None and reference is not None and reference.get("kind") == JOBS.kind:
            keys.add(f"{meta.namespace(pod)}/{reference['name']}")
    return keys


JOB = Controller(
    name="job-controller",
    watches=(
        Watch(resource=JOBS, keys_of=own_key),
        Watch(resource=PODS, keys_of=_keys_of_pod, indexes={ORPHANS: controlled_by}),
    ),
    reconcile=_reconcile,
    workers=8,
)
