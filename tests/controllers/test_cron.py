"""Cron schedules, and the CronJobs that follow them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from podium.base.clock import rfc3339
from podium.controllers.common import cron
from podium.controllers.cronjob import CRONJOB, plan
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.batch.jobs import JOBS
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi


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
        ("0 0 ? * 7", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("0 12 1 JAN,jul *", "2026-01-02T00:00:00", "2026-07-01T12:00:00"),
        ("@hourly", "2026-01-01T00:00:00", "2026-01-01T01:00:00"),
        ("@weekly", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("@every 1h30m", "2026-01-01T00:00:00", "2026-01-01T01:30:00"),
    ],
)
def test_the_next_time(schedule: str, after: str, expected: str) -> None:
    assert cron.parse(schedule).next_after(at(after)) == at(expected)


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "x * * * *", "@every x"]
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
    assert plan(cron_job(), [job(meta.name(decided.create))], at("2026-01-01T00:12:30")).create is None


def test_after_a_long_stop_only_the_last_time_counts() -> None:
    decided = plan(cron_job(schedule="0 3 * * *"), [], at("2026-06-15T12:00:00"))
    assert decided.status["lastScheduleTime"] == "2026-06-15T03:00:00Z"


def test_too_late_is_told_and_left() -> None:
    decided = plan(cron_job(startingDeadlineSeconds=60), [], at("2026-01-01T00:12:30"))
    assert decided.create is None
    assert [event[1] for event in decided.events] == ["MissSchedule"]


@pytest.mark.parametrize(
    ("policy", "created", "deleted"), [("Allow", True, []), ("Forbid", False, []), ("Replace", True, ["old"])]
)
def test_concurrency(policy: str, created: bool, deleted: list[str]) -> None:
    decided = plan(cron_job(concurrencyPolicy=policy), [job("old")], at("2026-01-01T00:05:00"))
    assert (decided.create is not None) is created
    assert [meta.name(j) for j in decided.delete] == deleted


def test_history_is_limited() -> None:
    ended = [job(f"ok{n}", "Complete", f"2026-01-01T00:0{n}:00Z") for n in range(5)]
    ended += [job(f"bad{n}", "Failed", f"2026-01-01T00:0{n}:00Z") for n in range(3)]
    decided = plan(cron_job(suspend=True), ended, at("2026-01-01T01:00:00"))
    assert [meta.name(j) for j in decided.delete] == ["ok0", "ok1", "bad0", "bad1"]


def test_a_bad_schedule_is_told() -> None:
    (event,) = plan(cron_job(schedule="x"), [], at("2026-01-01T01:00:00")).events
    assert event[:2] == ("Warning", "UnparseableSchedule")


def test_jobs_come_in_time() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CRONJOBS, cron_job(failedJobsHistoryLimit=1))
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
