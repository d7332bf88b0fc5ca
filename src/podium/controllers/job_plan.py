"""What a Job's next step is. Pure; `job` carries the steps out.

A pod's end must be counted once and only once, though pods may be deleted and this process may die at any
moment. So each pod carries a finalizer until it is counted, in three steps that can each be repeated:

  1. the uid of an ended pod is put into status.uncountedTerminatedPods (or its index into completedIndexes);
  2. its finalizer is removed;
  3. once it is seen without the finalizer (or gone), the uid becomes one of succeeded or failed.

Pods that the Job itself takes away while it goes on are nobody's failure: they lose the finalizer first.

Pod failure policies, success policies and limits per index are in job_policies.py. Where indexes have limits,
the last failed pod of an index keeps its finalizer until its successor is there, which takes its count over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from podium.base.backoff import Backoff
from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common import indexes as indexlib
from podium.controllers.common import pods as podlib
from podium.controllers.common.deletion_order import by_stage
from podium.controllers.common.pod_control import BURST_MAX, pod_from_template
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
from podium.machinery import meta
from podium.machinery.errors import Object

TRACKING = "batch.kubernetes.io/job-tracking"
FAILURE_BACKOFF = Backoff(initial_s=10.0, max_s=600.0)
UNCOUNTED_MAX = 500
"""Ends noted in one step: the status must not grow without bound."""
GENERATED_NAME_CHARS_MAX = 58
_REACHED = "Reached expected number of succeeded pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The failures since the last success: each makes the next pod wait longer."""

    count: int = 0
    last_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Plan:
    create: list[int | None] = field(default_factory=list)
    """One entry for each pod to make: its completion index, None in a Job without indexes."""
    counts: dict[int, dict[str, str]] = field(default_factory=dict)
    """Where indexes have limits: annotations of the pods to make that say how often their index failed."""
    delete: list[Object] = field(default_factory=list)
    """Pods that end because the Job does."""
    remove: list[Object] = field(default_factory=list)
    """Pods that are too many: they are released, then deleted."""
    release: list[Object] = field(default_factory=list)
    """The pods whose end is noted in the status: their finalizer goes."""
    status: Object = field(default_factory=dict)
    failures: Failures = field(default_factory=Failures)
    """To be remembered once the status is written."""
    events: list[tuple[str, str, str]] = field(default_factory=list)
    """Told once the status is written."""
    again_s: float | None = None

    def look_again(self, wait_s: float) -> None:
        self.again_s = wait_s if self.again_s is None else min(wait_s, self.again_s)


def plan(job: Object, pods: Sequence[Object], now: datetime, failures: Failures | None = None) -> Plan:
    """Decide the next step. `pods` are the Job's own, `failures` what the last plan made of them."""
    return _Step(job, pods, now, failures or Failures()).plan()


class _Step:
    def __init__(self, job: Object, pods: Sequence[Object], now: datetime, failures: Failures) -> None:
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
        # Jobs with indexes may shrink: what was done beyond their end is forgotten.
        self.done_before = indexlib.parse(str(old.get("completedIndexes") or ""), self.completions)
        self.done_indexes = set(self.done_before)
        self.failed_indexes = indexlib.parse(str(old.get("failedIndexes") or ""), self.completions)
        self.limited = self.indexed and self.spec.get("backoffLimitPerIndex") is not None
        self.policy: Object | None = self.spec.get("podFailurePolicy")
        self.replaces_failed_only = (
            self.spec.get("podReplacementPolicy") == "Failed" or self.policy is not None
        )
        self.noted = frozenset(uid for uids in self.uncounted.values() for uid in uids)
        self.active = [pod for pod in pods if podlib.is_active(pod)]
        self.result = Plan(failures=failures)

    def plan(self) -> Plan:
        if any(self._has(type) for type in ("Complete", "Failed")):
            # A Job that has ended holds no pod back.
            self.result.status = self.job.get("status") or {}
            self.result.release = [pod for pod in self.pods if TRACKING in meta.finalizers(pod)]
            return self.result
        if not self.spec.get("suspend"):
            self.status.setdefault("startTime", self.at)
        self._see_ends()
        end = self._failure() or self._early_success()
        if end is not None:
            self.result.delete = self.active
        else:
            if not meta.deleting(self.job):
                self._keep_up()
            end = self._success()
            if end is None and not meta.deleting(self.job):
                self._say_whether_suspended()
        self._count(end)
        if end is not None:
            self._conclude(*end)
        self._write_status()
        return self.result

    # What has ended

    def _see_ends(self) -> None:
        """Take in the pods that have ended since the last look."""
        succeeded = [pod for pod in self._uncounted_pods() if podlib.phase(pod) == "Succeeded"]
        failed = [pod for pod in self._uncounted_pods() if self._has_failed(pod)]
        self.new_succeeded, self.new_failed = succeeded, failed
        if self.indexed:
            self.done_indexes |= {i for pod in succeeded if (i := completion_index(pod)) is not None}
            if self.limited:
                self.failed_indexes |= {
                    i
                    for pod in failed
                    if (i := completion_index(pod)) is not None and index_failed(self.spec, pod)
                }
            self.total_succeeded = len(self.done_indexes)
        else:
            self.total_succeeded = self.succeeded + len(self.uncounted["succeeded"]) + len(succeeded)
        counted = sum(verdict(self.policy, pod).counts for pod in failed)
        self.total_failed = self.failed + len(self.uncounted["failed"]) + counted
        self._see_failures_in_a_row()

    def _uncounted_pods(self) -> list[Object]:
        """Return the pods whose end is not in the status yet, those with indexes that count."""
        return [
            pod
            for pod in self.pods
            if TRACKING in meta.finalizers(pod) and meta.uid(pod) not in self.noted and self._is_valid(pod)
        ]

    def _is_valid(self, pod: Object) -> bool:
        if not self.indexed:
            return True
        index = completion_index(pod)
        return index is not None and (self.completions is None or index < self.completions)

    def _has_failed(self, pod: Object) -> bool:
        """Whether the pod counts as failed. One that is being deleted may go without ever saying so."""
        if podlib.phase(pod) == "Failed":
            return True
        if podlib.phase(pod) == "Succeeded" or not meta.deleting(pod):
            return False
        return not self.replaces_failed_only

    def _see_failures_in_a_row(self) -> None:
        ends = [end for pod in self.new_failed if (end := podlib.finished_at(pod))]
        count, last_at = self.result.failures.count, self.result.failures.last_at
        if self.new_succeeded:
            successes = [end for pod in self.new_succeeded if (end := podlib.finished_at(pod))]
            ends = [end for end in ends if not successes or end > max(successes)]
            count, last_at = 0, None
        if ends:
            count, last_at = count + len(ends), max(ends)
        self.result.failures = Failures(count=count, last_at=last_at)

    # Whether the Job ends, and how

    def _failure(self) -> tuple[str, str, str] | None:
        """Return why the Job fails: the condition that says so, its reason and its message."""
        if self._has("SuccessCriteriaMet"):
            return None
        target = condition_of(self.conditions, "FailureTarget")
        if target is not None and target.get("status") == "True":
            return "FailureTarget", target["reason"], target["message"]
        found = self._failure_by_policy() or self._failure_by_limits()
        return ("FailureTarget", *found) if found is not None else None

    def _failure_by_policy(self) -> tuple[str, str] | None:
        failures = (verdict(self.policy, pod).fails_job for pod in self.pods if self._has_failed(pod))
        message = next((message for message in failures if message), "") if self.policy is not None else ""
        return ("PodFailurePolicy", message) if message else None

    def _failure_by_limits(self) -> tuple[str, str] | None:
        limit = int(self.spec["backoffLimit"] if self.spec.get("backoffLimit") is not None else 6)
        if self.total_failed > limit or self._restarts_too_often(limit):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        left_s = self._deadline_in_s()
        if left_s is not None and left_s <= 0:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        if left_s is not None:
            self.result.look_again(left_s)
        return index_limit(self.spec, self.done_indexes, self.failed_indexes) if self.limited else None

    def _restarts_too_often(self, limit: int) -> bool:
        if meta.dig(self.spec, "template", "spec", "restartPolicy") != "OnFailure":
            return False
        restarts = sum(
            int(container.get("restartCount") or 0)
            for pod in self.pods
            if podlib.phase(pod) in ("Running", "Pending")
            for statuses in ("initContainerStatuses", "containerStatuses")
            for container in pod["status"].get(statuses) or ()
        )
        return restarts >= max(limit, 1)

    def _deadline_in_s(self) -> float | None:
        seconds, start = self.spec.get("activeDeadlineSeconds"), self.status.get("startTime")
        if seconds is None or not start or self.spec.get("suspend"):
            return None
        return (parse_rfc3339(start) + timedelta(seconds=int(seconds)) - self.now).total_seconds()

    def _early_success(self) -> tuple[str, str, str] | None:
        """Return why the Job is done before all of it is."""
        met = condition_of(self.conditions, "SuccessCriteriaMet")
        if met is not None and met.get("status") == "True":
            return "SuccessCriteriaMet", met["reason"], met["message"]
        reached = success(self.spec.get("successPolicy"), self.done_indexes) if self.indexed else None
        return ("SuccessCriteriaMet", "SuccessPolicy", reached) if reached is not None else None

    def _success(self) -> tuple[str, str, str] | None:
        if len(self.result.remove) < len(self.active) or self.result.create:
            return None
        enough = self.total_succeeded >= (1 if self.completions is None else self.completions)
        return ("SuccessCriteriaMet", "CompletionsReached", _REACHED) if enough else None

    def _conclude(self, early: str, reason: str, message: str) -> None:
        """Say what the end will be, and that it has come once no pod is left to be counted."""
        if not self._has(early):
            self._put(early, "True", reason, message)
        going = any(podlib.is_terminating(pod) for pod in self.pods)
        if going or self._leaving() or any(self.uncounted.values()):
            return
        final = "Complete" if early == "SuccessCriteriaMet" else "Failed"
        self._put(final, "True", reason, message)
        if final == "Failed":
            self.result.events.append(("Warning", reason, message))
            return
        self.status["completionTime"] = self.at
        if self.completions is not None and self.total_succeeded > self.completions:
            text = "Too many succeeded pods running after completion count reached"
            self.result.events.append(("Warning", "TooManySucceededPods", text))
        self.result.events.append(("Normal", "Completed", "Job completed"))

    def _leaving(self) -> list[Object]:
        return [*self.result.delete, *self.result.remove]

    # Counting

    def _count(self, end: tuple[str, str, str] | None) -> None:
        """Take the pods that have ended through the three steps."""
        held = {meta.uid(pod): pod for pod in self.pods if TRACKING in meta.finalizers(pod)}
        for kind, uids in self.uncounted.items():
            for uid in list(uids):
                if uid in held:
                    self.result.release.append(held[uid])
                    continue
                uids.remove(uid)
                if kind == "failed":
                    self.failed += 1
                elif not self.indexed:
                    self.succeeded += 1
        fails = end is not None and end[0] == "FailureTarget"
        removed = {meta.uid(pod) for pod in self.result.remove}
        noted = len(self.noted)
        for uid, pod in held.items():
            if uid in self.noted or uid in removed or noted >= UNCOUNTED_MAX:
                continue
            if self._may_go(pod, ending=end is not None):
                self.result.release.append(pod)
                noted += self._note(pod, fails=fails)
        if self.indexed:
            self.succeeded = len(self.done_indexes)

    def _may_go(self, pod: Object, *, ending: bool) -> bool:
        if meta.deleting(self.job) or ending or podlib.phase(pod) == "Succeeded":
            return True
        return self._has_failed(pod) and not self._is_kept(pod)

    def _is_kept(self, pod: Object) -> bool:
        """Whether a failed pod has yet to hand its index's count to a successor."""
        index = completion_index(pod)
        return index is not None and self._last_failed().get(index) is pod

    def _last_failed(self) -> dict[int, Object]:
        """Return the pods that failed last, of the indexes that will be tried again."""
        if not self.limited:
            return {}
        over = self.done_indexes | self.failed_indexes | self._indexes(self.active)
        found = latest(self.new_failed)
        return {index: pod for index, pod in found.items() if index not in over}

    def _note(self, pod: Object, *, fails: bool) -> bool:
        """Note in the status what has become of a pod; return whether that is more than was there."""
        if not self._is_valid(pod):
            return False
        if podlib.phase(pod) == "Succeeded":
            if self.indexed:
                return completion_index(pod) not in self.done_before
            self.uncounted["succeeded"].append(meta.uid(pod))
            return True
        # In a Job that fails, what runs has failed.
        if (self._has_failed(pod) or fails) and verdict(self.policy, pod).counts:
            self.uncounted["failed"].append(meta.uid(pod))
            return True
        return False

    # How many run

    def _keep_up(self) -> None:
        """Make or remove pods so that as many run as should."""
        if self.spec.get("suspend"):
            self.result.remove = list(self.active)
            return
        if self.completions is None:
            wanted = len(self.active) if self.total_succeeded else self.parallelism
        else:
            wanted = max(0, min(self.parallelism, self.completions - self.total_succeeded))
        surplus = self._surplus(max(0, len(self.active) - wanted))[:BURST_MAX]
        if surplus:
            self.result.remove = surplus
            return
        missing = wanted - len(self.active)
        if self.replaces_failed_only:
            missing -= sum(podlib.is_terminating(pod) for pod in self.pods)
        if missing > 0:
            self._make(min(missing, BURST_MAX))

    def _surplus(self, at_least: int) -> list[Object]:
        """Return the pods that are too many, and those whose index is another's or nobody's."""
        left = self.active
        surplus: list[Object] = []
        if self.indexed:
            by_index: dict[int | None, list[Object]] = {}
            for pod in by_stage(self.active):
                by_index.setdefault(completion_index(pod) if self._is_valid(pod) else None, []).append(pod)
            surplus = by_index.pop(None, [])
            for same in by_index.values():
                surplus += same[:-1]
            left = [same[-1] for same in by_index.values()]
        return [*surplus, *by_stage(left)[: max(0, at_least - len(surplus))]]

    def _make(self, missing: int) -> None:
        if not self.limited:
            wait_s = self._wait_s(self.result.failures)
            if wait_s > 0:
                self.result.look_again(max(1.0, wait_s))
                return
        if not self.indexed:
            self.result.create = [None] * missing
            return
        taken = self.done_indexes | self.failed_indexes | self._indexes(self.active)
        if self.replaces_failed_only:
            taken |= self._indexes([pod for pod in self.pods if podlib.is_terminating(pod)])
        assert self.completions is not None
        free = [index for index in range(self.completions) if index not in taken][:missing]
        self.result.create = list(self._rested(free) if self.limited else free)

    def _rested(self, free: Sequence[int]) -> list[int]:
        """Return the indexes whose own back-off is over, and note what their pods are to carry."""
        rested = []
        waits = []
        before = self._last_failed()
        for index in free:
            replaced = before.get(index)
            wait_s = 0.0
            if replaced is not None:
                failures = Failures(count=attempts(replaced) + 1, last_at=podlib.finished_at(replaced))
                wait_s = self._wait_s(failures)
            if wait_s > 0:
                waits.append(wait_s)
                continue
            rested.append(index)
            self.result.counts[index] = count_annotations(self.spec, replaced)
        if waits:
            self.result.look_again(max(1.0, min(waits)))
        return rested

    def _wait_s(self, failures: Failures) -> float:
        """Return how long the next pod has to wait."""
        if not failures.count or failures.last_at is None:
            return 0.0
        due = failures.last_at + timedelta(seconds=FAILURE_BACKOFF.delay_s(failures.count))
        return max(0.0, (due - self.now).total_seconds())

    @staticmethod
    def _indexes(pods: Collection[Object]) -> set[int]:
        return {index for pod in pods if (index := completion_index(pod)) is not None}

    # Conditions and status

    def _say_whether_suspended(self) -> None:
        current = condition_of(self.conditions, "Suspended")
        if self.spec.get("suspend"):
            if current is None or current.get("status") != "True":
                self._put("Suspended", "True", "JobSuspended", "Job suspended")
                self.result.events.append(("Normal", "Suspended", "Job suspended"))
                self.status.pop("startTime", None)
        elif current is not None and current.get("status") == "True":
            self._put("Suspended", "False", "JobResumed", "Job resumed")
            self.result.events.append(("Normal", "Resumed", "Job resumed"))
            self.status["startTime"] = self.at  # the deadline is about the time that the Job is active
            left_s = self._deadline_in_s()
            if left_s is not None:
                self.result.look_again(left_s)

    def _has(self, type: str) -> bool:
        found = condition_of(self.conditions, type)
        return found is not None and found.get("status") == "True"

    def _put(self, type: str, status: str, reason: str, message: str) -> None:
        new = {
            "type": type,
            "status": status,
            "lastProbeTime": self.at,
            "lastTransitionTime": self.at,
            "reason": reason,
            "message": message,
        }
        if condition_of(self.conditions, type) is None:
            self.conditions = [*self.conditions, new]
        else:
            self.conditions = [new if c.get("type") == type else c for c in self.conditions]

    def _write_status(self) -> None:
        leaving = {meta.uid(pod) for pod in self._leaving()}
        stay = [pod for pod in self.active if meta.uid(pod) not in leaving]
        terminating = sum(podlib.is_terminating(pod) for pod in self.pods)
        status = {
            **self.status,
            "active": len(stay) + len(self.result.create),
            "ready": sum(podlib.is_ready(pod) for pod in stay),
            "terminating": terminating + len(leaving),
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


def pod_for(job: Object, index: int | None, counts: dict[str, str] | None = None) -> Object:
    """Return the next pod of a Job. `counts` are the annotations with the failures of its index."""
    pod = pod_from_template(job["spec"]["template"], job)
    metadata = pod["metadata"]
    if TRACKING not in metadata.get("finalizers", ()):
        metadata["finalizers"] = [*metadata.get("finalizers", ()), TRACKING]
    if index is None:
        return pod
    suffix = f"-{index}-"
    metadata["generateName"] = meta.name(job)[: GENERATED_NAME_CHARS_MAX - len(suffix)] + suffix
    metadata.setdefault("annotations", {}).update({INDEX: str(index), **(counts or {})})
    metadata.setdefault("labels", {})[INDEX] = str(index)
    spec = pod["spec"]
    spec["hostname"] = f"{meta.name(job)}-{index}"
    variable = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}},
    }
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        environment = container.setdefault("env", [])
        if not any(entry.get("name") == variable["name"] for entry in environment):
            environment.append(variable)
    return pod
