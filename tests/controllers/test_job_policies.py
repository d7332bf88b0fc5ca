"""Pod failure policies, success policies and limits per index: what they say, and Jobs that live by them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from podium.base.clock import parse_rfc3339, rfc3339
from podium.controllers.job_plan import FAILURE_BACKOFF, TRACKING, plan, pod_for
from podium.controllers.job_policies import (
    COUNTED,
    FAILURES,
    IGNORED,
    Verdict,
    completion_index,
    success,
    verdict,
)
from podium.machinery import meta
from podium.machinery.errors import Object
from tests.controllers.test_job import job

START = parse_rfc3339("2026-01-01T00:00:00Z")


def failed_pod(code: int = 1, container: str = "app", **condition: str) -> Object:
    terminated = {"exitCode": code, "finishedAt": rfc3339(START)}
    return {
        "metadata": {"name": "j-x", "namespace": "default", "uid": "uid-x"},
        "status": {
            "phase": "Failed",
            "containerStatuses": [{"name": container, "state": {"terminated": terminated}}],
            "conditions": [{"type": type, "status": status} for type, status in condition.items()],
        },
    }


def on_codes(action: str, operator: str, *values: int, **more: str) -> Object:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **more}}


def on_condition(action: str, type: str) -> Object:
    return {"action": action, "onPodConditions": [{"type": type, "status": "True"}]}


@pytest.mark.parametrize(
    ("rules", "pod", "expected"),
    [
        pytest.param([], failed_pod(), COUNTED, id="no rule"),
        pytest.param([on_codes("Ignore", "In", 1, 2)], failed_pod(2), Verdict(counts=False), id="ignored"),
        pytest.param([on_codes("Ignore", "In", 1, 2)], failed_pod(3), COUNTED, id="another code"),
        pytest.param(
            [on_codes("FailIndex", "NotIn", 1)], failed_pod(3), Verdict(fails_index=True), id="not in"
        ),
        pytest.param([on_codes("FailJob", "NotIn", 1)], failed_pod(0), COUNTED, id="zero never matches"),
        pytest.param(
            [on_codes("FailJob", "In", 42, containerName="app")],
            failed_pod(42),
            Verdict(
                fails_job="Container app for pod default/j-x failed with exit code 42"
                " matching FailJob rule at index 0"
            ),
            id="fails the job",
        ),
        pytest.param(
            [on_codes("FailJob", "In", 42, containerName="other")],
            failed_pod(42),
            COUNTED,
            id="another container",
        ),
        pytest.param(
            [on_condition("Ignore", "DisruptionTarget"), on_codes("FailJob", "In", 1)],
            failed_pod(1, DisruptionTarget="True"),
            Verdict(counts=False),
            id="the first rule that matches",
        ),
        pytest.param(
            [on_condition("FailJob", "ConfigIssue")],
            failed_pod(1, ConfigIssue="True"),
            Verdict(fails_job="Pod default/j-x has condition ConfigIssue matching FailJob rule at index 0"),
            id="by condition",
        ),
        pytest.param(
            [on_condition("FailJob", "ConfigIssue")],
            failed_pod(1, ConfigIssue="False"),
            COUNTED,
            id="condition not true",
        ),
    ],
)
def test_verdicts(rules: list[Object], pod: Object, expected: Verdict) -> None:
    assert verdict({"rules": rules}, pod) == expected


@pytest.mark.parametrize(
    ("rules", "done", "expected"),
    [
        ([{"succeededCount": 2}], {0}, None),
        ([{"succeededCount": 2}], {0, 4}, "Matched rules at index 0"),
        ([{"succeededIndexes": "0,2-3"}], {0, 1, 2}, None),
        ([{"succeededIndexes": "0,2-3"}], {0, 2, 3}, "Matched rules at index 0"),
        ([{"succeededIndexes": "0-3", "succeededCount": 2}], {0, 9}, None),
        (
            [{"succeededCount": 9}, {"succeededIndexes": "0-3", "succeededCount": 2}],
            {0, 3},
            "Matched rules at index 1",
        ),
        ([{"succeededCount": 1}], set(), None),
    ],
)
def test_success_rules(rules: list[Object], done: set[int], expected: str | None) -> None:
    assert success({"rules": rules}, done) == expected


class Run:
    """A Job whose pods end as the test says; each step is one look of the controller."""

    def __init__(self, **spec: Any) -> None:
        self.job = job(completionMode="Indexed", backoffLimit=2**31 - 1, **spec)
        self.pods: list[Object] = []
        self.now: datetime = START
        self.made = 0
        self.settle()

    def settle(self) -> None:
        """Act on the plans until they ask for nothing more at this moment."""
        for _ in range(20):
            decided = plan(self.job, self.pods, self.now)
            before = self.job.get("status")
            self.job = {**self.job, "status": decided.status}
            for pod in decided.release:
                pod["metadata"]["finalizers"] = [f for f in pod["metadata"]["finalizers"] if f != TRACKING]
            gone = [*decided.delete, *decided.remove]
            self.pods = [pod for pod in self.pods if pod not in gone]
            for index in decided.create:
                assert index is not None
                pod = pod_for(self.job, index, decided.counts.get(index))
                self.made += 1
                pod["metadata"] |= {
                    "name": f"j-{self.made}",
                    "namespace": "default",
                    "uid": f"uid-{self.made}",
                }
                pod["status"] = {"phase": "Pending"}
                self.pods.append(pod)
            if before == decided.status and not (decided.release or gone or decided.create):
                return
        raise AssertionError("the controller does not come to rest")

    def active(self, index: int) -> Object | None:
        found = [p for p in self.pods if completion_index(p) == index and p["status"]["phase"] == "Pending"]
        return found[0] if found else None

    def end(self, index: int, code: int = 0, **condition: str) -> None:
        pod = self.active(index)
        assert pod is not None
        ended = failed_pod(code, **condition)["status"]
        ended["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = rfc3339(self.now)
        pod["status"] = ended | {"phase": "Failed" if code else "Succeeded"}
        self.settle()

    def rest(self) -> None:
        """Let the longest back-off pass."""
        self.now += timedelta(seconds=FAILURE_BACKOFF.max_s)
        self.settle()

    def conditions(self) -> dict[str, str]:
        found = self.job["status"].get("conditions") or []
        return {c["type"]: c["reason"] for c in found if c["status"] == "True"}


def test_an_index_is_tried_as_often_as_its_limit_and_others_go_on() -> None:
    run = Run(parallelism=2, completions=2, backoffLimitPerIndex=1)
    run.end(0, 1)
    assert run.active(0) is None, "the index waits before its next pod"
    run.rest()
    again = run.active(0)
    assert again is not None and meta.annotations(again)[FAILURES] == "1"
    run.end(0, 1)
    assert run.job["status"]["failedIndexes"] == "0"
    run.rest()
    assert run.active(0) is None
    assert "Failed" not in run.conditions()
    run.end(1)
    assert run.conditions() == {"FailureTarget": "FailedIndexes", "Failed": "FailedIndexes"}
    assert (run.job["status"]["completedIndexes"], run.job["status"]["failed"]) == ("1", 2)
    assert not any(TRACKING in meta.finalizers(pod) for pod in run.pods)


def test_the_last_failure_of_an_index_is_kept_until_its_successor_is_there() -> None:
    run = Run(parallelism=1, completions=1, backoffLimitPerIndex=3)
    run.end(0, 1)
    assert TRACKING in meta.finalizers(run.pods[0])
    run.rest()
    assert TRACKING not in meta.finalizers(run.pods[0])
    assert run.job["status"]["failed"] == 1


def test_too_many_failed_indexes_end_the_job() -> None:
    run = Run(parallelism=3, completions=3, backoffLimitPerIndex=0, maxFailedIndexes=1)
    run.end(0, 1)
    assert "FailureTarget" not in run.conditions()
    run.end(1, 1)
    assert run.conditions()["Failed"] == "MaxFailedIndexesExceeded"
    assert run.active(2) is None


def test_fail_index_ends_an_index_at_once() -> None:
    policy = {"rules": [on_codes("FailIndex", "In", 42)]}
    run = Run(parallelism=2, completions=2, backoffLimitPerIndex=5, podFailurePolicy=policy)
    run.end(0, 42)
    assert run.job["status"]["failedIndexes"] == "0"
    run.rest()
    assert run.active(0) is None


def test_an_ignored_failure_is_tried_again_and_not_counted() -> None:
    policy = {"rules": [on_condition("Ignore", "DisruptionTarget")]}
    run = Run(parallelism=1, completions=1, backoffLimitPerIndex=0, podFailurePolicy=policy)
    run.end(0, 1, DisruptionTarget="True")
    run.rest()
    again = run.active(0)
    assert again is not None
    assert (meta.annotations(again)[FAILURES], meta.annotations(again)[IGNORED]) == ("0", "1")
    run.end(0)
    assert "failed" not in run.job["status"]
    assert run.conditions()["Complete"] == "CompletionsReached"


def test_fail_job_ends_the_job() -> None:
    policy = {"rules": [on_codes("FailJob", "In", 42)]}
    run = Run(parallelism=2, completions=2, podFailurePolicy=policy)
    run.end(0, 42)
    assert run.conditions() == {"FailureTarget": "PodFailurePolicy", "Failed": "PodFailurePolicy"}
    assert run.active(1) is None


def test_a_success_policy_ends_the_job_with_indexes_pending() -> None:
    run = Run(parallelism=3, completions=3, successPolicy={"rules": [{"succeededIndexes": "1"}]})
    run.end(0)
    assert "SuccessCriteriaMet" not in run.conditions()
    run.end(1)
    assert run.conditions() == {"SuccessCriteriaMet": "SuccessPolicy", "Complete": "SuccessPolicy"}
    assert run.active(2) is None
    assert run.job["status"]["succeeded"] == 2


def test_a_success_policy_makes_no_failures_of_what_still_ran() -> None:
    run = Run(parallelism=3, completions=3, successPolicy={"rules": [{"succeededIndexes": "1"}]})
    run.end(1)
    assert run.conditions()["Complete"] == "SuccessPolicy"
    assert "failed" not in run.job["status"]
    assert not any(TRACKING in meta.finalizers(pod) for pod in run.pods)


def test_an_index_that_rests_is_not_overtaken() -> None:
    run = Run(parallelism=1, completions=2, backoffLimitPerIndex=1)
    run.end(0, 1)
    assert (run.active(0), run.active(1)) == (None, None)
    run.rest()
    assert run.active(0) is not None


def test_what_runs_when_a_job_fails_has_failed_whatever_its_policy() -> None:
    policy = {"rules": [on_codes("FailJob", "In", 42), on_codes("Ignore", "In", 137)]}
    run = Run(parallelism=3, completions=3, podFailurePolicy=policy)
    run.end(0, 42)
    assert run.conditions()["Failed"] == "PodFailurePolicy"
    assert run.job["status"]["failed"] == 3
