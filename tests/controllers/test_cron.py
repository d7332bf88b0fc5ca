"""Cron schedules, and the CronJobs that follow them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from podium.base.clock import rfc3339
from podium.controllers.common import cron
from podium.controllers.cronjob import CRONJOB, Plan, plan
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi, api_error


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01:00"),
        ("*/15 * * * *", "2026-01-01T00:45:00", "2026-01-01T01:00:00"),
        ("5/20 * * * *", "2026-01-01T00:06:00", "2026-01-01T00:25:00"),
        ("30 2 * * *", "2026-01-01T02:30:00", "2026-01-02T02:30:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 9 * * mon-fri", "2026-01-02T10:00:00", "2026-01-05T09:00:00"),
        ("0 0 13 * fri", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("0 0 ? * 0", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        # A step makes a restriction of a star: then either field suffices.
        ("0 0 */20 * mon", "2026-01-01T00:00:00", "2026-01-05T00:00:00"),
        ("0 0 */1 * mon", "2026-01-01T00:00:00", "2026-01-05T00:00:00"),
        ("0 0 20,* * mon", "2026-01-01T00:00:00", "2026-01-05T00:00:00"),
        ("TZ=Asia/Tokyo 0 3 * * *", "2026-01-01T00:00:00", "2026-01-01T18:00:00"),
        ("@every 1.5s", "2026-01-01T00:00:00", "2026-01-01T00:00:01"),
        ("0 12 1 JAN,jul *", "2026-01-02T00:00:00", "2026-07-01T12:00:00"),
        ("@hourly", "2026-01-01T00:00:00", "2026-01-01T01:00:00"),
        ("@weekly", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("@every 1h30m", "2026-01-01T00:00:00", "2026-01-01T01:30:00"),
    ],
)
def test_the_next_time(schedule: str, after: str, expected: str) -> None:
    assert cron.parse(schedule).next_after(at(after)) == at(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* * 0 * *",
        "*/0 * * * *",
        "x * * * *",
        "@every x",
        "0 0 * * 7",
        "TZ=x @daily",
    ],
)
def test_bad_schedules(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cron.parse(text)


def test_a_day_that_never_comes() -> None:
    assert cron.parse("0 0 30 2 *").next_after(at("2026-01-01T00:00:00")) is None


def test_time_zones_and_clocks_that_jump() -> None:
    berlin = cron.parse("30 2 * * *", ZoneInfo("Europe/Berlin"))
    assert berlin.next_after(at("2026-01-01T00:00:00")) == at("2026-01-01T01:30:00")
    # 2026-03-29 has no 02:30 in Berlin.
    assert berlin.next_after(at("2026-03-28T12:00:00")) == at("2026-03-30T00:30:00")
    # 2026-10-25 has it twice.
    first = berlin.next_after(at("2026-10-24T12:00:00"))
    assert first == at("2026-10-25T00:30:00")
    assert berlin.next_after(first) == at("2026-10-25T01:30:00")


def cron_job(**spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "c",
            "namespace": "default",
            "uid": "u",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {}}}, **spec},
    }


def job(name: str, end: str = "", start: str = "2026-01-01T00:00:00Z") -> Object:
    conditions = [{"type": end, "status": "True"}] if end else []
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "status": {"conditions": conditions, "startTime": start},
    }


def reference(name: str) -> Object:
    return {"kind": "Job", "namespace": "default", "name": name, "uid": f"uid-{name}"}


def told(decided: Plan) -> list[str]:
    return [f"{type} {reason}: {message}" for type, reason, message in decided.events]


def test_the_latest_missed_time_is_served_once() -> None:
    decided = plan(cron_job(), [], at("2026-01-01T00:12:30"))
    assert decided.create is not None
    assert meta.name(decided.create) == f"c-{int(at('2026-01-01T00:10:00').timestamp()) // 60}"
    assert decided.status["lastScheduleTime"] == "2026-01-01T00:10:00Z"
    assert decided.create["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:10:00Z"
    }
    assert decided.again_s == pytest.approx(150.1)
    served = cron_job()
    served["status"] = {"lastScheduleTime": "2026-01-01T00:10:00Z"}
    assert plan(served, [], at("2026-01-01T00:12:30")).create is None
    running_already = cron_job()
    running_already["status"] = {"active": [reference(meta.name(decided.create))]}
    assert plan(running_already, [], at("2026-01-01T00:12:30"), [meta.name(decided.create)]).create is None


def test_after_a_long_stop_only_the_last_time_counts() -> None:
    decided = plan(cron_job(schedule="0 3 * * *"), [], at("2026-06-15T12:00:00"))
    assert decided.status["lastScheduleTime"] == "2026-06-15T03:00:00Z"


def test_a_time_before_the_deadline_is_left() -> None:
    decided = plan(cron_job(startingDeadlineSeconds=60), [], at("2026-01-01T00:12:30"))
    assert (decided.create, decided.events) == (None, [])
    assert decided.again_s == pytest.approx(150.1)


def test_a_time_before_a_long_gap_is_left() -> None:
    """Estimated by its first interval, the schedule had its last time but one in the gap."""
    weekly = cron_job(schedule="0,5 12 * * fri")
    assert plan(weekly, [], at("2026-01-07T00:00:00")).create is None
    assert plan(weekly, [], at("2026-01-02T12:04:00")).create is not None


def test_many_missed_times_are_told_of() -> None:
    decided = plan(cron_job(), [], at("2026-01-01T08:30:00"))
    assert decided.create is not None
    assert told(decided) == [
        "Warning TooManyMissedTimes: too many missed start times. "
        "Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    ]
    assert plan(cron_job(), [], at("2026-01-01T08:20:00")).events == []


def test_an_interval_is_kept_to_from_its_start() -> None:
    decided = plan(cron_job(schedule="@every 10m"), [], at("2026-01-01T00:07:00"))
    assert decided.create is None
    assert decided.again_s == pytest.approx(180.1)


@pytest.mark.parametrize(
    ("policy", "created", "deleted"), [("Allow", True, []), ("Forbid", False, []), ("Replace", True, ["old"])]
)
def test_concurrency(policy: str, created: bool, deleted: list[str]) -> None:
    mine = cron_job(concurrencyPolicy=policy)
    mine["status"] = {"active": [reference("old")]}
    decided = plan(mine, [job("old")], at("2026-01-01T00:05:00"))
    assert (decided.create is not None) is created
    assert [r["name"] for r in decided.replace] == deleted


def test_what_becomes_of_active_jobs() -> None:
    mine = cron_job(suspend=True)
    mine["status"] = {"active": [reference(name) for name in ("runs", "done", "gone", "given-away")]}
    jobs = [job("runs"), job("done", "Failed"), job("strange")]
    decided = plan(mine, jobs, at("2026-01-01T00:01:00"), ["given-away"])
    assert [r["name"] for r in decided.status["active"]] == ["runs", "given-away"]
    assert told(decided) == [
        "Normal SawCompletedJob: Saw completed job: done, condition: Failed",
        "Warning UnexpectedJob: Saw a job that the controller did not create or forgot: strange",
        "Normal MissingJob: Active job went missing: gone",
    ]


def test_history_is_limited() -> None:
    ended = [job(f"ok{n}", "Complete", f"2026-01-01T00:0{n}:00Z") for n in range(5)]
    ended += [job(f"bad{n}", "Failed", f"2026-01-01T00:0{n}:00Z") for n in range(3)]
    ended[4]["status"]["startTime"] = ""
    limits = {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
    decided = plan(cron_job(suspend=True, **limits), ended, at("2026-01-01T01:00:00"))
    assert [meta.name(j) for j in decided.delete] == ["ok0", "ok1", "bad0", "bad1"]
    assert plan(cron_job(suspend=True), ended, at("2026-01-01T01:00:00")).delete == []


@pytest.mark.parametrize(
    ("spec", "event"),
    [
        (
            {"schedule": "x"},
            'Warning UnparseableSchedule: unparseable schedule: "x" : '
            "expected exactly 5 fields, found 1: [x]",
        ),
        (
            {"schedule": "59 23 31 2 *"},
            "Warning InvalidSchedule: invalid schedule: 59 23 31 2 * : "
            "time difference between two schedules is less than 1 second",
        ),
        (
            {"timeZone": "Mars/Base", "suspend": True},
            'Warning UnknownTimeZone: invalid timeZone: "Mars/Base": unknown time zone Mars/Base',
        ),
    ],
)
def test_a_bad_schedule_is_told(spec: Object, event: str) -> None:
    decided = plan(cron_job(**spec), [], at("2026-01-01T01:00:00"))
    assert (told(decided), decided.again_s) == ([event], None)


def test_a_zone_in_the_schedule_is_followed_and_told_of() -> None:
    decided = plan(cron_job(schedule="TZ=Asia/Tokyo 0 10 * * *"), [], at("2026-01-01T01:00:00"))
    assert decided.create is not None
    assert told(decided)[0].startswith(
        'Warning UnsupportedSchedule: CRON_TZ or TZ used in schedule "TZ=Asia/Tokyo 0 10 * * *" is not'
    )


def test_a_changed_schedule_makes_up_for_nothing() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CRONJOBS, cron_job(schedule="0 0 1 1 *"))
        async with running(api, [CRONJOB]):
            await api.clock.advance(3601)
            api.change(CRONJOBS, "default/c", lambda c: c["spec"].update(schedule="30 * * * *"))
            await api.clock.advance(10)
            assert api.all(JOBS) == []
            await api.clock.advance(1800)
            assert len(api.all(JOBS)) == 1

    asyncio.run(go())


def test_a_job_that_was_made_before_the_status_could_say_so_is_taken_in() -> None:
    async def go() -> None:
        api = FakeApi()
        mine = api.put(CRONJOBS, cron_job())
        made = plan(mine, [], at("2026-01-01T00:05:00")).create
        assert made is not None
        async with running(api, [CRONJOB]):
            await api.clock.advance(200)
            api.put(JOBS, made)
            await api.clock.advance(200)
            (there,) = api.all(JOBS)
            status = api.table(CRONJOBS)["default/c"]["status"]
            assert [r["uid"] for r in status["active"]] == [meta.uid(there)]
            assert status["lastScheduleTime"] == "2026-01-01T00:05:00Z"

    asyncio.run(go())


def test_what_could_not_be_started_was_not_served() -> None:
    async def go() -> None:
        api = FakeApi()
        mine = cron_job(concurrencyPolicy="Replace")
        old = api.put(JOBS, {**job("old"), "apiVersion": "batch/v1", "kind": "Job"})
        mine["status"] = {"active": [{**reference("old"), "uid": meta.uid(old)}]}
        api.put(CRONJOBS, mine)
        api.fail = lambda verb, resource, obj: (
            api_error(500) if (verb, resource) == ("create", JOBS) else None
        )
        async with running(api, [CRONJOB]):
            await api.clock.advance(301)
            assert "lastScheduleTime" not in api.table(CRONJOBS)["default/c"]["status"]
            api.fail = lambda verb, resource, obj: None
            await api.clock.advance(60)
            status = api.table(CRONJOBS)["default/c"]["status"]
            assert (status["lastScheduleTime"], len(status["active"])) == ("2026-01-01T00:05:00Z", 1)

    asyncio.run(go())


def test_jobs_come_in_time() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CRONJOBS, cron_job(successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1))
        async with running(api, [CRONJOB]):
            await api.clock.advance(3601)
            assert len(api.all(JOBS)) == 12
            status = api.table(CRONJOBS)["default/c"]["status"]
            assert status["lastScheduleTime"] == rfc3339(at("2026-01-01T01:00:00"))
            assert len(status["active"]) == 12
            for key in list(api.table(JOBS)):
                api.change(
                    JOBS,
                    key,
                    lambda j: j.update(
                        status={
                            "conditions": [{"type": "Complete", "status": "True"}],
                            "completionTime": "2026-01-01T01:00:01Z",
                        }
                    ),
                )
            await api.clock.advance(1)
            assert len(api.all(JOBS)) == 3
            status = api.table(CRONJOBS)["default/c"]["status"]
            assert "active" not in status
            assert status["lastSuccessfulTime"] == "2026-01-01T01:00:01Z"

    asyncio.run(go())


def test_a_job_says_what_was_served_where_the_status_does_not() -> None:
    """As after an end of the process between making the Job and saying so."""
    made = job("c-29453775", end="Complete")
    made["metadata"]["annotations"] = {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:15:00Z"
    }
    decided = plan(cron_job(successfulJobsHistoryLimit=0), [made], at("2026-01-01T00:17:00"))
    assert decided.status["lastScheduleTime"] == "2026-01-01T00:15:00Z"
    assert (decided.create, decided.delete) == (None, [])
    known = {**cron_job(successfulJobsHistoryLimit=0), "status": decided.status}
    assert plan(known, [made], at("2026-01-01T00:17:00")).delete == [made]


def test_a_job_that_was_forgotten_is_active() -> None:
    made = job("c-29453770")
    made["metadata"]["annotations"] = {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:10:00Z"
    }
    decided = plan(cron_job(concurrencyPolicy="Forbid"), [made], at("2026-01-01T00:16:00"))
    assert decided.create is None
    assert [one["name"] for one in decided.status["active"]] == ["c-29453770"]
    assert [reason for _, reason, _ in decided.events] == ["JobAlreadyActive"]
