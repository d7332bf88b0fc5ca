"""One step of a Job at a time: who is counted, who is removed, and how long the next pod waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.common import indexes
from podium.controllers.job_plan import TRACKING, Failures, plan, pod_for
from podium.controllers.job_policies import INDEX
from podium.machinery import meta
from podium.machinery.errors import Object
from tests.controllers.builders import pod
from tests.controllers.test_job import job

NOW = parse_rfc3339("2026-01-01T01:00:00Z")


def worker(
    name: str, phase: str = "Running", *, index: str = "", ended: datetime = NOW, **more: Any
) -> Object:
    """A pod of the Job, tracked."""
    made = pod(name, phase=phase, ready=phase == "Running", finalizers=[TRACKING], **more)
    made["metadata"]["annotations"] = {INDEX: index} if index else {}
    if phase in ("Succeeded", "Failed"):
        made["status"]["containerStatuses"] = [{"state": {"terminated": {"finishedAt": rfc3339(ended)}}}]
    return made


def going(made: Object) -> Object:
    made["metadata"] |= {"deletionTimestamp": rfc3339(NOW), "deletionGracePeriodSeconds": 0}
    return made


def names(pods: list[Object]) -> list[str]:
    return [meta.name(pod) for pod in pods]


def test_pods_that_are_too_many_are_no_failures() -> None:
    mine = job(parallelism=1, completions=5)
    decided = plan(mine, [worker("old"), worker("new", node=""), worker("pending", "Pending")], NOW)
    # Unassigned first, then pending; each loses its finalizer before it goes.
    assert (names(decided.remove), decided.delete) == (["new", "pending"], [])
    assert decided.status["active"] == 1
    assert "failed" not in decided.status
    released = going(worker("new"))
    released["metadata"]["finalizers"] = []
    assert "failed" not in plan({**mine, "status": decided.status}, [worker("old"), released], NOW).status


def test_a_job_without_completions_leaves_what_runs_when_one_has_succeeded() -> None:
    mine = job(parallelism=1, completions=None)
    decided = plan(mine, [worker("done", "Succeeded"), worker("a"), worker("b")], NOW)
    assert (decided.remove, decided.create) == ([], [])


def test_a_suspended_job_removes_its_pods_and_counts_none() -> None:
    mine = job(suspend=True)
    mine["status"] = {"startTime": "2026-01-01T00:00:00Z"}
    decided = plan(mine, [worker("a")], NOW)
    assert (names(decided.remove), decided.release) == (["a"], [])
    assert "startTime" not in decided.status
    assert decided.events == [("Normal", "Suspended", "Job suspended")]


def test_a_suspended_job_that_is_done_ends() -> None:
    decided = plan(job(suspend=True), [worker("a", "Succeeded")], NOW)
    assert [c["type"] for c in decided.status["conditions"]] == ["SuccessCriteriaMet"]


def test_indexes_of_a_job_that_shrinks_are_forgotten() -> None:
    mine = job(completionMode="Indexed", parallelism=2, completions=2)
    mine["status"] = {"completedIndexes": "0,3-5", "succeeded": 4}
    decided = plan(mine, [worker("b", index="1"), worker("g", index="6")], NOW)
    assert (decided.status["completedIndexes"], decided.status["succeeded"]) == ("0", 1)
    assert names(decided.remove) == ["g"]


def test_of_pods_with_one_index_one_stays() -> None:
    mine = job(completionMode="Indexed", parallelism=3, completions=3)
    pods = [worker("a", index="0"), worker("a2", "Pending", index="0"), worker("none")]
    assert sorted(names(plan(mine, pods, NOW).remove)) == ["a2", "none"]


def test_a_pod_of_no_index_is_let_go_uncounted() -> None:
    mine = job(completionMode="Indexed", parallelism=1, completions=1)
    pods = [worker("stray", "Failed", index="7"), worker("a", index="0")]
    decided = plan(mine, pods, NOW)
    assert names(decided.release) == ["stray"]
    assert decided.status["uncountedTerminatedPods"] == {}


def test_of_indexes_only_the_index_is_noted() -> None:
    mine = job(completionMode="Indexed", parallelism=1, completions=2)
    decided = plan(mine, [worker("a", "Succeeded", index="0")], NOW)
    assert (decided.status["completedIndexes"], decided.status["uncountedTerminatedPods"]) == ("0", {})
    assert names(decided.release) == ["a"]


@pytest.mark.parametrize(
    ("limit", "restarts", "fails"),
    [(0, (0, 0), False), (0, (1, 0), True), (3, (1, 1), False), (3, (2, 1), True)],
)
def test_restarts_of_all_containers_add_up(limit: int, restarts: tuple[int, int], fails: bool) -> None:
    mine = job(backoffLimit=limit, parallelism=2, completions=2)
    mine["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    first, second = worker("a"), worker("b", "Pending")
    first["status"]["containerStatuses"] = [{"restartCount": restarts[0]}]
    second["status"]["initContainerStatuses"] = [{"restartCount": restarts[1]}]
    decided = plan(mine, [first, second], NOW)
    assert bool(decided.status.get("conditions")) == fails


@pytest.mark.parametrize(
    ("pods", "before", "waits"),
    [
        pytest.param([("Failed", 0)], Failures(), 10, id="the first"),
        pytest.param([("Failed", 0)], Failures(count=2, last_at=NOW), 40, id="the third"),
        pytest.param([("Failed", 4)], Failures(), 6, id="some time ago"),
        pytest.param([("Failed", 9), ("Succeeded", 5)], Failures(count=5, last_at=NOW), None, id="success"),
        pytest.param([("Succeeded", 9), ("Failed", 5)], Failures(count=5, last_at=NOW), 5, id="and again"),
        pytest.param([], Failures(count=7, last_at=NOW), 600, id="at most"),
        pytest.param([("gone", 0)], Failures(), 10, id="deleted"),
    ],
)
def test_how_long_the_next_pod_waits(
    pods: list[tuple[str, int]], before: Failures, waits: float | None
) -> None:
    made = [
        going(worker(f"p{n}"))
        if phase == "gone"
        else worker(f"p{n}", phase, ended=NOW - timedelta(seconds=ago))
        for n, (phase, ago) in enumerate(pods)
    ]
    for one in made:
        one["status"]["conditions"] = []
    decided = plan(job(completions=9), made, NOW, before)
    assert (decided.again_s, len(decided.create)) == (waits, 1 if waits is None else 0)


def test_too_many_successes_are_told_of() -> None:
    mine = job(completions=1)
    mine["status"] = {"succeeded": 2, "startTime": rfc3339(NOW)}
    assert plan(mine, [], NOW).events == [
        ("Warning", "TooManySucceededPods", "Too many succeeded pods running after completion count reached"),
        ("Normal", "Completed", "Job completed"),
    ]


def test_a_job_that_is_going_holds_no_pod() -> None:
    mine = job()
    mine["metadata"]["deletionTimestamp"] = rfc3339(NOW)
    decided = plan(mine, [worker("a")], NOW)
    assert (names(decided.release), decided.create, "failed" in decided.status) == (["a"], [], False)


def test_a_pod_is_waited_for_where_only_failed_ones_are_replaced() -> None:
    mine = job(parallelism=2, completions=2, completionMode="Indexed", podReplacementPolicy="Failed")
    decided = plan(mine, [going(worker("a", index="0"))], NOW)
    assert (decided.create, decided.release) == ([1], [])
    assert decided.status["terminating"] == 1


def test_the_pods_of_indexes() -> None:
    mine = job(completionMode="Indexed")
    mine["metadata"]["name"] = "j" * 63
    mine["spec"]["template"]["metadata"]["finalizers"] = [TRACKING]
    mine["spec"]["template"]["spec"]["hostname"] = "mine"
    made = pod_for(mine, 12)
    assert made["metadata"]["generateName"] == "j" * 54 + "-12-"
    assert made["metadata"]["finalizers"] == [TRACKING]
    assert made["spec"]["hostname"] == "j" * 63 + "-12"


def test_texts_of_indexes_are_read_with_care() -> None:
    assert indexes.parse("0-2,x,5-y,9", 2) == {0, 1}
