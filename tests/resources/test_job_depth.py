"""Jobs: what controllers may say about them, and what may change while they are suspended."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.batch.indexes import BadIndexes, count_indexes, overlap
from podium.resources.batch.jobs import JOBS
from tests.resources.test_devices import changed, texts

THEN, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def a_job(status: Object | None = None, **spec: Any) -> Object:
    """Return a stored job."""
    job: Object = {"metadata": {"name": "j", "uid": "u"}}
    pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
    job["spec"] = {"template": {"spec": pod}, **spec}
    JOBS.defaults(job)
    JOBS.prepare_create(job)
    job["status"] = status or {}
    return job


def true(*kinds: str) -> list[Object]:
    return [{"type": kind, "status": "True"} for kind in kinds]


MET, COMPLETE, FAILED, FAILING = "SuccessCriteriaMet", "Complete", "Failed", "FailureTarget"
DONE = {"conditions": true(COMPLETE, MET), "startTime": THEN, "completionTime": LATER}
INDEXED: Object = {"completionMode": "Indexed", "completions": 5, "parallelism": 2}


@pytest.mark.parametrize(
    ("spec", "old", "new", "errors"),
    [
        ({}, {}, DONE, []),
        ({}, {}, {"active": -1}, ["status.active: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {},
            {},
            {"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}},
            [
                'status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
                'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
            ],
        ),
        (
            {},
            {},
            {**DONE, "conditions": true(COMPLETE, MET, FAILED, FAILING)},
            [
                "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
                "status.conditions: Invalid value: cannot set Complete=True and "
                "FailureTarget=true conditions",
                "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true "
                "conditions",
                "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true "
                "conditions",
            ],
        ),
        (
            {},
            {},
            {"conditions": true(COMPLETE)},
            [
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.conditions: Invalid value: cannot set Complete=True condition without the "
                "SuccessCriteriaMet=true condition",
                "status.startTime: Required value: startTime is required for finished job",
            ],
        ),
        (
            {},
            {},
            {"startTime": THEN, "completionTime": THEN},
            [
                f'status.completionTime: Invalid value: "{THEN}": cannot set completionTime when there is no '
                "Complete=True condition"
            ],
        ),
        (
            {},
            {},
            {**DONE, "startTime": LATER, "completionTime": THEN},
            [f'status.completionTime: Invalid value: "{THEN}": must be equal to or after `startTime`'],
        ),
        (
            {},
            {},
            {"conditions": true(FAILED), "startTime": THEN},
            [
                "status.conditions: Invalid value: cannot set Failed=True condition without the "
                "FailureTarget=true condition"
            ],
        ),
        (
            {},
            {},
            {**DONE, "active": 1, "terminating": 2, "uncountedTerminatedPods": {"failed": ["a"]}},
            [
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
                'status.uncountedTerminatedPods: Invalid value: {"failed":["a"]}: must be empty for finished '
                "job",
                "status.terminating: Invalid value: 2: terminating>0 is invalid for finished job",
            ],
        ),
        ({"suspend": True, "completions": 0}, {}, {key: DONE[key] for key in DONE if key != "startTime"}, []),
        (
            {},
            {},
            {"completedIndexes": "0"},
            [
                'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when '
                "non-indexed completion mode"
            ],
        ),
        (
            INDEXED,
            {},
            {"completedIndexes": "0,5", "failedIndexes": "1"},
            [
                'status.completedIndexes: Invalid value: "0,5": error parsing completedIndexes: too large '
                'index: "5"',
                'status.failedIndexes: Invalid value: "1": cannot set non-null failedIndexes when '
                "backoffLimitPerIndex is null",
            ],
        ),
        (
            {**INDEXED, "backoffLimitPerIndex": 1},
            {},
            {"completedIndexes": "0-2", "failedIndexes": "2-4"},
            [
                'status.failedIndexes: Invalid value: "2-4": failedIndexes and completedIndexes overlap at '
                "index: 2"
            ],
        ),
        (
            {},
            {},
            {"ready": 2, "active": 1},
            ["status.ready: Invalid value: 2: cannot set more ready pods than active"],
        ),
        (
            {},
            {"conditions": true(FAILED, FAILING), "failed": 2, "succeeded": 1, "startTime": THEN},
            {"failed": 1, "startTime": LATER},
            [
                "status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
                "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
                "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
                f'status.startTime: Invalid value: "{LATER}": field is immutable for '
                f"unsuspended job once set",
            ],
        ),
        (
            {},
            DONE,
            {**DONE, "completionTime": "2026-01-01T00:02:00Z"},
            ['status.completionTime: Invalid value: "2026-01-01T00:02:00Z": field is immutable'],
        ),
        ({**INDEXED, "parallelism": 5}, {"succeeded": 2}, {"succeeded": 1}, []),
        (
            {},
            {"conditions": true("Suspended"), "startTime": THEN},
            {"conditions": [{"type": "Suspended", "status": "False"}], "startTime": LATER},
            [],
        ),
        (
            {},
            {"conditions": true(MET)},
            {},
            ["status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition"],
        ),
    ],
)
def test_status(spec: Object, old: Object, new: Object, errors: list[str]) -> None:
    assert texts(JOBS.validate_status_update(a_job(new, **spec), a_job(old, **spec))) == errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("0,2-4", 4),
        ("1,1", "non-increasing order, previous: 1, current: 1"),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
        (
            "1-2-3",
            'the fragment "1-2-3" violates the requirement that an index interval can have at most two parts '
            "separated by '-'",
        ),
        ("x", 'cannot convert string to integer for index: "x"'),
        ("1-9", 'too large index: "9"'),
    ],
)
def test_indexes(text: str, expected: int | str) -> None:
    try:
        found: int | str = count_indexes(text, 5)
    except BadIndexes as fault:
        found = str(fault)
    assert found == expected


def test_unreadable_intervals_do_not_overlap() -> None:
    assert overlap("x,3", "1,3", 5) == 3
    assert overlap("0-1", "2,x", 5) is None


RESOURCES = {"requests": {"cpu": "1"}}
CONTAINER = "spec.template.spec.containers.0"


@pytest.mark.parametrize(
    ("old", "path", "value", "where"),
    [
        ({"suspend": True}, f"{CONTAINER}.resources", RESOURCES, ""),
        ({"suspend": True}, "spec.template.spec.nodeSelector", {"a": "b"}, ""),
        ({"suspend": True}, f"{CONTAINER}.image", "other", "spec.template.spec"),
        (
            {"suspend": True, "status": {"startTime": THEN, "conditions": true("Suspended")}},
            f"{CONTAINER}.resources",
            RESOURCES,
            "",
        ),
        (
            {"suspend": True, "status": {"startTime": THEN}},
            f"{CONTAINER}.resources",
            RESOURCES,
            "spec.template",
        ),
        (
            {"suspend": True, "status": {"active": 1}},
            "spec.template.spec.nodeSelector",
            {"a": "b"},
            "spec.template",
        ),
        ({}, f"{CONTAINER}.resources", RESOURCES, "spec.template"),
    ],
)
def test_template_of_a_suspended_job(old: Object, path: str, value: Any, where: str) -> None:
    before = a_job(**old)
    errors = JOBS.validate_update(changed(before, path, value), before)
    assert [error.field for error in errors] == ([where] if where else [])


def test_while_the_gates_are_off() -> None:
    before = a_job(suspend=True)
    resized = changed(before, f"{CONTAINER}.resources", RESOURCES)
    check = JOBS.while_off["MutablePodResourcesForSuspendedJobs"]
    assert [error.field for error in check(resized, before)] == ["spec.template"]
    assert check(changed(before, "spec.template.spec.nodeSelector", {"a": "b"}), before) == []
    before = a_job({"startTime": THEN, "conditions": true("Suspended")}, suspend=True)
    moved = changed(before, "spec.template.spec.nodeSelector", {"a": "b"})
    check = JOBS.while_off["MutableSchedulingDirectivesForSuspendedJobs"]
    assert [error.field for error in check(moved, before)] == ["spec.template.spec"]
    assert check(changed(before, f"{CONTAINER}.resources", RESOURCES), before) == []


@pytest.mark.parametrize(
    ("rule", "errors"),
    [
        ({"succeededIndexes": "0-4", "succeededCount": 5}, []),
        (
            {"succeededIndexes": "0-1", "succeededCount": 6},
            [
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 6: must be less "
                "than or equal to 5 "
                "(the number of specified completions)",
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 6: must be less "
                "than or equal to 2 "
                "(the number of indexes in the specified succeededIndexes field)",
            ],
        ),
        (
            {"succeededIndexes": "9"},
            [
                'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "9": error parsing '
                'succeededIndexes: too large index: "9"'
            ],
        ),
    ],
)
def test_success_rules(rule: Object, errors: list[str]) -> None:
    assert texts(JOBS.validate(a_job(None, **INDEXED, successPolicy={"rules": [rule]}))) == errors


def test_many_completions() -> None:
    spec = {
        "completionMode": "Indexed",
        "completions": 200_000,
        "parallelism": 20_000,
        "backoffLimitPerIndex": 1,
    }
    tail = "when completions are above 100000 and used with backoff limit per index"
    assert texts(JOBS.validate(a_job(None, **spec, maxFailedIndexes=30_000))) == [
        f"spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 {tail}",
        f"spec.maxFailedIndexes: Invalid value: 30000: must be less than or equal to 10000 {tail}",
    ]


def test_counts_of_workloads() -> None:
    old: Object = {"metadata": {"name": "w"}, "status": {"collisionCount": 2, "replicas": 1}}
    new = copy.deepcopy(old)
    new["status"] = {"replicas": 1, "availableReplicas": 1}
    collisions = "status.collisionCount: Invalid value: 0: cannot be decremented"
    available = "status.availableReplicas: Invalid value: 1: cannot be greater than "
    assert texts(DEPLOYMENTS.validate_status_update(new, old)) == [f"{available}readyReplicas", collisions]
    assert texts(STATEFULSETS.validate_status_update(new, old)) == [
        f"{available}status.readyReplicas",
        collisions,
    ]


def test_revisions() -> None:
    revision: Object = {"metadata": {"name": "r"}, "revision": 1, "data": [1]}
    assert texts(CONTROLLERREVISIONS.validate(revision)) == [
        "data: Required value: data must be a valid JSON object"
    ]
    # What an older release let in does not stop a change of the labels.
    assert CONTROLLERREVISIONS.validate_update(revision, revision) == []
