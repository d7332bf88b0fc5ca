"""Jobs, simulated: each pod's end is counted once and only once, whoever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from podium.controllers.common import indexes as indexlib
from podium.controllers.common import pods as podlib
from podium.controllers.job import job_controller
from podium.controllers.job_plan import TRACKING
from podium.controllers.job_policies import completion_index, verdict
from podium.machinery import labels, meta
from podium.machinery.errors import Object
from podium.resources.batch.jobs import JOBS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Controller
from tests.controllers.builders import template
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import REST_S_MAX, World, Write, simulate

KEY = "default/work"
JOB = "job-controller"
PATIENCE_S = 700.0
"""Longer than the longest back-off: a Job that is silent for so long is at rest."""
IGNORED, FATAL, COUNTED = 7, 42, 1
"""Exit codes, and what a pod failure policy makes of them."""


class Jobs(World):
    """One Job, whose user changes it, suspends it, deletes its pods, or deletes it and makes it anew."""

    STEPS = 15

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.made = 0
        self.noted: dict[str, str] = {}
        """Of each pod whose end was ever noted in the status: what it counts as."""
        self.counted: dict[str, int] = {}
        self.statuses: dict[str, Object] = {}
        """What each Job's status was after the controller's last write, by its uid."""

    def controllers(self) -> Sequence[Controller]:
        return (job_controller(),)

    def begin(self) -> None:
        self.succeeds = self.random.choice((0.5, 0.8, 0.95))
        self.put_job()

    def put_job(self) -> None:
        self.made += 1
        self.api.put(
            JOBS,
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "work", "namespace": "default", "uid": f"job-{self.made}"},
                "spec": self.new_spec(f"job-{self.made}"),
            },
        )

    def new_spec(self, uid: str) -> Object:
        choose = self.random.choice
        marks = {"batch.kubernetes.io/controller-uid": uid}
        pods = template()
        pods["metadata"]["labels"] = marks
        pods["spec"]["restartPolicy"] = "Never"
        spec: Object = {
            "parallelism": self.random.randint(1, 4),
            "completions": self.random.randint(1, 6),
            "backoffLimit": choose((0, 2, 6)),
            "completionMode": "NonIndexed",
            "suspend": self.chance(0.1),
            "selector": {"matchLabels": marks},
            "template": pods,
        }
        if self.chance(0.5):
            spec["completionMode"] = "Indexed"
            if self.chance(0.5):
                spec["backoffLimitPerIndex"] = choose((0, 1, 2))
                spec["backoffLimit"] = 1000
                if self.chance(0.5):
                    spec["maxFailedIndexes"] = choose((0, 1))
            if self.chance(0.3):
                spec["successPolicy"] = {
                    "rules": [choose(({"succeededIndexes": "0"}, {"succeededCount": 1}))]
                }
        elif self.chance(0.3):
            del spec["completions"]
        if self.chance(0.4):
            spec["podFailurePolicy"] = {"rules": self.rules(limited="backoffLimitPerIndex" in spec)}
        if "podFailurePolicy" in spec or self.chance(0.3):
            spec["podReplacementPolicy"] = "Failed"
        if self.chance(0.15):
            spec["activeDeadlineSeconds"] = choose((5, 60, 600))
        return spec

    @staticmethod
    def rules(*, limited: bool) -> list[Object]:
        def rule(action: str, code: int) -> Object:
            return {"action": action, "onExitCodes": {"operator": "In", "values": [code]}}

        return [rule("Ignore", IGNORED), rule("FailIndex" if limited else "FailJob", FATAL)]

    # Who acts on it

    def outcome(self, pod: Object) -> Object | None:
        """Return the status of a pod that has ended."""
        if not self.chance(0.3):
            return None
        at = self.api.stamp()
        code = 0 if self.chance(self.succeeds) else self.random.choice((IGNORED, FATAL, COUNTED))
        ended = {"exitCode": code, "finishedAt": at}
        return {
            "phase": "Failed" if code else "Succeeded",
            "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": at}],
            "containerStatuses": [{"name": "c", "state": {"terminated": ended}}],
        }

    def command(self) -> None:
        choice = self.random.choice(
            ("parallelism", "suspend", "resize", "delete_a_pod", "take_a_pod", "anew")
        )
        getattr(self, choice)()

    def job(self) -> Object | None:
        return self.api.get(JOBS, KEY)

    def change(self, **spec: object) -> None:
        if self.job() is not None:
            self.api.change(JOBS, KEY, lambda job: job["spec"].update(spec))

    def parallelism(self) -> None:
        self.change(parallelism=self.random.randint(0, 5))

    def suspend(self) -> None:
        self.change(suspend=self.chance(0.5))

    def resize(self) -> None:
        """An indexed Job may grow and shrink, when both numbers are the same."""
        job = self.job()
        if job is None or job["spec"]["completionMode"] != "Indexed" or "successPolicy" in job["spec"]:
            return
        if not true_conditions(job.get("status") or {}):  # else its end is decided
            size = self.random.randint(1, 6)
            self.change(completions=size, parallelism=size)

    def delete_a_pod(self) -> None:
        key = self.troubles.a_pod()
        if key is not None:
            gone = {"deletionTimestamp": self.api.stamp(), "deletionGracePeriodSeconds": 30}
            self.api.change(PODS, key, lambda pod: pod["metadata"].update(gone))

    def take_a_pod(self) -> None:
        """The pod is somebody else's from now on, by its labels."""
        key = self.troubles.a_pod()
        if key is not None and self.chance(0.3):
            self.api.change(PODS, key, lambda pod: pod["metadata"].update(labels={"app": "other"}))

    def anew(self) -> None:
        """Delete the Job, or make it again."""
        if self.job() is None:
            self.put_job()
        elif self.chance(0.3):
            self.api.remove(JOBS, KEY)

    # What must hold

    def check_write(self, write: Write) -> None:
        if write.resource is JOBS:
            self.check_status(write.obj)
        elif write.verb == "create":
            self.check_creation(write.obj)
        elif write.verb == "patch" and TRACKING not in meta.finalizers(write.obj):
            self.check_release(write.obj)

    def check_status(self, job: Object) -> None:
        """A status counts those who leave the list of the uncounted, and nobody enters that twice."""
        before, after = self.statuses.get(meta.uid(job)) or {}, job["status"]
        self.statuses[meta.uid(job)] = after
        for kind in ("succeeded", "failed"):
            old, new = uncounted(before, kind), uncounted(after, kind)
            self.require(len(new) == len(set(new)), f"listed twice: {new}")
            for uid in set(new) - set(old):
                self.require(uid not in self.noted, f"{uid} is noted again as {kind}")
                self.noted[uid] = kind
            if kind == "failed" or job["spec"]["completionMode"] != "Indexed":
                more = int(after.get(kind) or 0) - int(before.get(kind) or 0)
                left = len(set(old) - set(new))
                self.require(more == left, f"{kind} grew by {more}, but {left} were counted")
        if ended(before):
            self.require(ended(after), "a Job that had ended goes on")

    def check_creation(self, pod: Object) -> None:
        job = self.owner(pod)
        if job is None:
            return
        known_at = self.knew(JOB, KEY, JOBS)
        versions = self.api.versions(JOBS, meta.uid(job), known_at=known_at)
        specs = [version["spec"] for version in versions]
        wait = all(spec.get("podReplacementPolicy") == "Failed" for spec in specs)
        pods = [p for p in self.pods_of(job) if (wait or not meta.deleting(p)) and not podlib.is_finished(p)]
        most = max(spec["parallelism"] for spec in specs)
        self.require(len(pods) <= most, f"{len(pods)} pods, at most {most} wanted")
        self.require(
            not all(ended(v.get("status") or {}) for v in versions), "a pod for a Job that has ended"
        )
        if job["spec"]["completionMode"] == "Indexed":
            same = [p for p in pods if completion_index(p) == completion_index(pod)]
            self.require(len(same) == 1, f"index {completion_index(pod)} has {len(same)} pods")
        elif "completions" in job["spec"]:
            done = sum(podlib.phase(p) == "Succeeded" for p in self.ends_of(job))
            self.require(
                done + len(pods) <= job["spec"]["completions"], f"{done} are done, and {len(pods)} go on"
            )

    def check_release(self, pod: Object) -> None:
        """The status knows of the end of each pod that loses its finalizer."""
        job = self.owner(pod)
        if job is None or ended(job.get("status") or {}) or meta.deleting(job) or not podlib.is_finished(pod):
            return
        index = completion_index(pod)
        indexed = job["spec"]["completionMode"] == "Indexed"
        if indexed and (index is None or index >= job["spec"]["completions"]):
            return
        if podlib.phase(pod) == "Failed":
            counts = verdict(job["spec"].get("podFailurePolicy"), pod).counts
            self.require(not counts or self.noted.get(meta.uid(pod)) == "failed", "a failure was lost")
        elif indexed:
            done = indexlib.parse(job["status"].get("completedIndexes") or "", job["spec"]["completions"])
            self.require(index in done, f"the success of index {index} was lost")
        else:
            self.require(self.noted.get(meta.uid(pod)) in ("succeeded", "failed"), "a success was lost")

    def finish(self) -> None:
        if self.job() is None:
            self.put_job()
        job = self.job()
        assert job is not None
        self.change(suspend=False, parallelism=max(1, job["spec"]["parallelism"]))

    async def come_to_rest(self) -> None:
        before, waited_s = -1, 0.0
        while before != self.api.revision:
            before = self.api.revision
            await asyncio.sleep(PATIENCE_S)
            self._assert_no_violation()
            waited_s += PATIENCE_S
            assert waited_s < REST_S_MAX * 5, "the world does not come to rest"

    def check_rest(self) -> None:
        job = self.job()
        assert job is not None
        held = [meta.key(pod) for pod in self.api.all(PODS) if TRACKING in meta.finalizers(pod)]
        assert held == [], "finalizers are left behind"
        status = job["status"]
        assert ended(status), f"neither complete nor failed: {job}"
        assert not status.get("active") and not status.get("ready") and not status.get("terminating")
        assert not any(uncounted(status, kind) for kind in ("succeeded", "failed"))
        self.check_counts(job)

    def check_counts(self, job: Object) -> None:
        """What pods have come to is what the status says."""
        spec, status = job["spec"], job["status"]
        ends = self.ends_of(job)
        succeeded = [pod for pod in ends if podlib.phase(pod) == "Succeeded"]
        failed = [
            pod
            for pod in ends
            if podlib.phase(pod) == "Failed" and verdict(spec.get("podFailurePolicy"), pod).counts
        ]
        if spec["completionMode"] == "Indexed":
            # One that has shrunk forgets what it had done; what it does again counts again.
            done = indexlib.parse(status.get("completedIndexes") or "", spec["completions"])
            assert done <= {completion_index(pod) for pod in succeeded}
            assert int(status.get("succeeded") or 0) == len(done)
        else:
            lost = [meta.name(pod) for pod in succeeded if meta.uid(pod) not in self.noted]
            assert not lost, f"successes were lost: {lost}"
            kinds = [self.noted[uid] for uid in self.noted if uid in self.uids_of(job)]
            assert int(status.get("succeeded") or 0) == kinds.count("succeeded")
            lost = [meta.name(pod) for pod in failed if meta.uid(pod) not in self.noted]
            assert not lost, f"failures were lost: {lost}"
        if "Complete" in true_conditions(status) and "successPolicy" not in spec:
            assert int(status.get("succeeded") or 0) >= spec.get("completions", 1)

    # Looking back

    def owner(self, pod: Object) -> Object | None:
        """Return the Job that a pod belongs to, as it is now."""
        job = self.job()
        return job if job is not None and meta.controlled_by(pod, job) else None

    def pods_of(self, job: Object) -> list[Object]:
        return [pod for pod in self.api.all(PODS) if meta.controlled_by(pod, job)]

    def versions_of(self, job: Object) -> Iterable[Object]:
        for _, plural, _, obj in self.api.log:
            if plural == PODS.group_plural and meta.controlled_by(obj, job):
                yield obj

    def uids_of(self, job: Object) -> set[str]:
        return {meta.uid(pod) for pod in self.versions_of(job)}

    def ever_of(self, job: Object) -> list[Object]:
        """Return each pod that the Job ever had, with its finalizer if it still had one when it ended."""
        found: dict[str, Object] = {}
        for pod in self.versions_of(job):
            known = found.get(meta.uid(pod))
            if known is None or not podlib.is_finished(known):
                found[meta.uid(pod)] = pod
        return list(found.values())

    def ends_of(self, job: Object) -> list[Object]:
        """Return the pods that ended while the Job counted them."""
        selector = labels.from_label_selector(job["spec"]["selector"])
        return [
            pod
            for pod in self.ever_of(job)
            if podlib.is_finished(pod)
            and TRACKING in meta.finalizers(pod)
            and selector.matches(meta.labels(pod))
        ]


def uncounted(status: Object, kind: str) -> list[str]:
    return list((status.get("uncountedTerminatedPods") or {}).get(kind) or ())


def true_conditions(status: Object) -> set[str]:
    return {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}


def ended(status: Object) -> bool:
    return bool(true_conditions(status) & {"Complete", "Failed"})


@seeds(80)
def test_jobs_count_exactly(seed: int) -> None:
    simulate(Jobs, seed)
