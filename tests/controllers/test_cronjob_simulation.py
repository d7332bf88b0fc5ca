"""CronJobs, simulated: a time of the schedule is served once at most, and the last one that is due is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from podium.base.clock import parse_rfc3339
from podium.controllers import cronjob
from podium.controllers.common import cron
from podium.controllers.cronjob import SCHEDULED_AT, end_of
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from podium.runtime.controller import Controller
from tests.controllers.builders import template
from tests.controllers.simulation.api import SimulatedApi
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import World, Write, simulate
from tests.runtime.fakes import START

KEY = "default/tick"
CRONJOB = "cronjob-controller"
MINUTES = (1, 2, 5)
SLOWNESS_S = 30.0
"""Between deciding to start a Job and its being there, on a slow network."""


class JobEnds:
    """In the place of the Job controller and kubelets: Jobs start, and end one way or the other."""

    def __init__(self, api: SimulatedApi) -> None:
        self._api = api

    def work(self, likely: float) -> None:
        for job in self._api.all(JOBS):
            if end_of(job) is None and self._api.random.random() < likely * likely:
                self._end(job)

    def _end(self, job: Object) -> None:
        at = self._api.stamp()
        if "startTime" not in (job.get("status") or {}):
            status: Object = {"startTime": at}
        elif self._api.random.random() < 0.7:
            done = {"type": "Complete", "status": "True"}
            status = {**job["status"], "completionTime": at, "conditions": [done]}
        else:
            status = {**job["status"], "conditions": [{"type": "Failed", "status": "True"}]}
        self._api.change(JOBS, meta.key(job), lambda job: job.update(status=status))


class Ticks(World):
    """One CronJob, whose user changes it, suspends it, and deletes its Jobs."""

    STEPS = 12
    PAUSES_S = (0, 0.05, 5, 60, 300)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.kubelets = JobEnds(self.api)  # type: ignore[assignment]
        self.started: set[str] = set()
        """The names of all Jobs there ever were: each is one time of the schedule."""

    def controllers(self) -> Sequence[Controller]:
        return (cronjob.CRONJOB,)

    def begin(self) -> None:
        choose = self.random.choice
        self.every_m = choose(MINUTES)
        spec: Object = {
            "schedule": self.schedule(),
            "concurrencyPolicy": choose(("Allow", "Forbid", "Replace")),
            "successfulJobsHistoryLimit": choose((0, 1, 3)),
            "failedJobsHistoryLimit": choose((0, 1)),
            "suspend": False,
            "jobTemplate": {"spec": {"template": template()}},
        }
        if self.chance(0.3):
            spec["startingDeadlineSeconds"] = choose((10, 90, 600))
        if self.chance(0.3):
            spec["timeZone"] = choose(("Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"))
        made = {
            "name": "tick",
            "namespace": "default",
            "uid": "uid-tick",
            "creationTimestamp": self.api.stamp(),
        }
        cron_job = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": made, "spec": spec}
        self.api.put(CRONJOBS, cron_job)

    def schedule(self) -> str:
        return f"*/{self.every_m} * * * *"

    def cron_job(self) -> Object:
        return self.api.table(CRONJOBS)[KEY]

    # The user

    def command(self) -> None:
        choice = self.random.choice(
            ("suspend", "policy", "limits", "reschedule", "delete_a_job", "run_by_hand")
        )
        getattr(self, choice)()

    def change(self, **spec: object) -> None:
        self.api.change(CRONJOBS, KEY, lambda obj: obj["spec"].update(spec))

    def suspend(self) -> None:
        self.change(suspend=self.chance(0.5))

    def policy(self) -> None:
        self.change(concurrencyPolicy=self.random.choice(("Allow", "Forbid", "Replace")))

    def limits(self) -> None:
        self.change(successfulJobsHistoryLimit=self.random.randint(0, 2))

    def reschedule(self) -> None:
        self.every_m = self.random.choice(MINUTES)
        self.change(schedule=self.schedule())

    def delete_a_job(self) -> None:
        jobs = self.api.all(JOBS)
        if jobs:
            job = self.random.choice(jobs)
            self.api.remove(JOBS, meta.key(job))
            served = self.cron_job().get("status", {}).get("lastScheduleTime")
            if served is None or meta.annotations(job).get(SCHEDULED_AT, "") > served:
                self.started.discard(meta.name(job))  # nobody can know of it any more

    def run_by_hand(self) -> None:
        """As `kubectl create job --from=cronjob/tick`."""
        metadata = {
            "name": f"by-hand-{self.api.revision}",
            "namespace": "default",
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [meta.owner_reference(self.cron_job())],
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {"template": template()},
        }
        self.api.put(JOBS, job)

    # What must hold

    def check_write(self, write: Write) -> None:
        if write.resource is JOBS and write.verb == "create":
            self.check_start(write.obj)
        elif write.resource is JOBS and write.verb == "delete":
            self.check_end(write.obj)

    def check_start(self, job: Object) -> None:
        name = meta.name(job)
        due = due_of(job)
        now = self.api.clock.now()
        self.require(name not in self.started, f"{due} is served twice")
        self.started.add(name)
        self.require(due <= now, f"{due} is served too early")
        specs = [version["spec"] for version in self.known_versions()]
        self.require(not all(spec["suspend"] for spec in specs), "started while suspended")
        self.require(any(is_time_of(spec, due) for spec in specs), f"{due} is no time of the schedule")
        late_s = (now - due).total_seconds()
        most_s = max(spec.get("startingDeadlineSeconds", float("inf")) for spec in specs)
        self.require(late_s <= most_s + SLOWNESS_S, f"started {late_s} s late, at most {most_s} allowed")
        others = [meta.name(other) for other in self.active() if meta.name(other) != name]
        policies = {spec["concurrencyPolicy"] for spec in specs}
        self.require("Allow" in policies or not others, f"started beside {others}: {policies}")

    def check_end(self, job: Object) -> None:
        """Only what has ended is cleared away, and what is to be replaced."""
        policies = {version["spec"]["concurrencyPolicy"] for version in self.known_versions()}
        self.require(end_of(job) is not None or "Replace" in policies, f"{meta.name(job)} was still at work")

    def known_versions(self) -> list[Object]:
        known_at = self.knew(CRONJOB, KEY, CRONJOBS)
        return self.api.versions(CRONJOBS, "uid-tick", known_at=known_at)

    def active(self) -> list[Object]:
        """Return the Jobs of the schedule that have not ended."""
        return [
            job
            for job in self.api.all(JOBS)
            if end_of(job) is None and not meta.deleting(job) and not meta.name(job).startswith("by-hand")
        ]

    async def come_to_rest(self) -> None:
        """With the schedule going on first, for as long as it takes to have a time, then without."""
        self.change(suspend=False, concurrencyPolicy="Allow")
        await asyncio.sleep((self.every_m + 1) * 60)
        self._assert_no_violation()
        served = parse_rfc3339(self.cron_job()["status"]["lastScheduleTime"])
        late_s = (self.api.clock.now() - served).total_seconds()
        assert late_s < self.every_m * 60 + SLOWNESS_S, f"served last {late_s} s ago"
        self.change(suspend=True)
        await super().come_to_rest()

    def check_rest(self) -> None:
        status, spec = self.cron_job()["status"], self.cron_job()["spec"]
        assert not status.get("active"), "nothing runs any more"
        ends = [end_of(job) for job in self.api.all(JOBS)]
        assert None not in ends
        assert ends.count("Complete") <= spec["successfulJobsHistoryLimit"]
        assert ends.count("Failed") <= spec["failedJobsHistoryLimit"]


def due_of(job: Object) -> datetime:
    return datetime.fromtimestamp(int(meta.name(job).rpartition("-")[2]) * 60, UTC)


def is_time_of(spec: Object, due: datetime) -> bool:
    schedule = cron.parse(spec["schedule"], cron.zone_called(spec.get("timeZone") or ""))
    return schedule.next_after(due - timedelta(seconds=1)) == due


assert START.second == 0, "lives begin with a full minute"


@seeds(60)
def test_times_are_served_once_at_most(seed: int) -> None:
    simulate(Ticks, seed)
