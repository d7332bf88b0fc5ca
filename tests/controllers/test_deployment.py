"""The steps of rollouts, as tables."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from podium.controllers.common.percent import scaled
from podium.controllers.common.template import same_template, template_hash
from podium.controllers.deployment import DEPLOYMENT
from podium.controllers.deployment_plan import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    Plan,
    fenceposts,
    plan,
)
from podium.machinery.errors import Object
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.events import EVENTS
from tests.controllers.builders import deployment, replica_set, running, template
from tests.runtime.fakes import FakeApi, api_error

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def rolling(surge: Any, unavailable: Any) -> Object:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def sized(obj: Object, replicas: int, maximum: int, revision: int) -> Object:
    obj["metadata"]["annotations"].update(
        {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(maximum), REVISION: str(revision)}
    )
    return obj


def sizes(result: Plan) -> dict[str, int]:
    return {rs["metadata"]["name"]: rs["spec"]["replicas"] for rs in result.update}


def reasons(result: Plan) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in result.status.get("conditions", [])}


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("7%", 100, True, 7), ("0%", 5, True, 0)],
)
def test_percentages(value: Any, total: int, up: bool, expected: int) -> None:
    assert scaled(value, total, round_up=up) == expected


@pytest.mark.parametrize(
    ("replicas", "strategy", "expected"),
    [
        (10, rolling("25%", "25%"), (3, 2)),
        (1, rolling("25%", "25%"), (1, 0)),
        (3, rolling(0, "10%"), (0, 1)),
        (2, rolling(0, 5), (0, 2)),
        (3, {"type": "Recreate"}, (0, 0)),
    ],
)
def test_fenceposts(replicas: int, strategy: Object, expected: tuple[int, int]) -> None:
    assert fenceposts(deployment(replicas=replicas, strategy=strategy)) == expected


def test_the_first_replica_set() -> None:
    wish = deployment(replicas=3)
    wish["metadata"]["annotations"] = {
        "note": "x",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        REVISION: "7",
    }
    result = plan(wish, [], frozenset(), NOW)
    made = result.create
    assert made is not None
    hash_ = made["metadata"]["labels"]["pod-template-hash"]
    assert 8 <= len(hash_) <= 10
    assert made["metadata"]["name"] == f"web-{hash_}"
    assert made["metadata"]["annotations"] == {
        "note": "x",
        REVISION: "1",
        DESIRED_REPLICAS: "3",
        MAX_REPLICAS: "4",
    }
    assert made["spec"]["replicas"] == 3
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": hash_}
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "web", "pod-template-hash": hash_}
    assert result.events == [f"Scaled up replica set web-{hash_} from 0 to 3"]
    assert result.annotations[REVISION] == "1"
    assert reasons(result) == {
        "Progressing": ("True", "NewReplicaSetCreated"),
        "Available": ("False", "MinimumReplicasUnavailable"),
    }
    assert wish["spec"]["template"]["metadata"]["labels"] == {"app": "web"}  # the cached object is as it was


# Each row: size of the old and of the new ReplicaSet, available of each, and the sizes written.
STEPS = [
    pytest.param("25%", "25%", 4, (4, 4), (0, 0), {"new": 1}, id="surge first"),
    pytest.param("25%", "25%", 4, (4, 4), (1, 0), {"old": 3}, id="then down, as far as may be missing"),
    pytest.param("25%", "25%", 4, (3, 3), (1, 0), {"new": 2}, id="room after scaling down"),
    pytest.param("25%", "25%", 4, (3, 3), (2, 0), {}, id="nothing while the new ones are not available"),
    pytest.param("25%", "25%", 4, (3, 3), (2, 2), {"old": 1}, id="down by what has become available"),
    pytest.param(1, 0, 3, (3, 3), (0, 0), {"new": 1}, id="no unavailability: surge"),
    pytest.param(1, 0, 3, (3, 3), (1, 0), {}, id="no unavailability: wait"),
    pytest.param(1, 0, 3, (3, 3), (1, 1), {"old": 2}, id="no unavailability: replace"),
    pytest.param(0, 1, 3, (3, 3), (0, 0), {"old": 2}, id="no surge: down first"),
    pytest.param(0, 1, 3, (2, 2), (0, 0), {"new": 1}, id="no surge: then up"),
    pytest.param("25%", "25%", 4, (4, 2), (1, 0), {"old": 3}, id="unhealthy old ones go first"),
    pytest.param("100%", 0, 3, (3, 3), (0, 0), {"new": 3}, id="full surge"),
]


@pytest.mark.parametrize(("surge", "unavailable", "replicas", "old", "new", "expected"), STEPS)
def test_a_step_of_a_rolling_update(
    surge: Any,
    unavailable: Any,
    replicas: int,
    old: tuple[int, int],
    new: tuple[int, int],
    expected: dict[str, int],
) -> None:
    wish = deployment(replicas=replicas, image="b", strategy=rolling(surge, unavailable))
    maximum = replicas + fenceposts(wish)[0]
    before = replica_set("old", of=wish, replicas=old[0], available=old[1], image="a")
    after = replica_set(
        "new", of=wish, replicas=new[0], available=new[1], image="b", created="2026-01-01T00:01:00Z"
    )
    sets = [sized(before, replicas, maximum, 1), sized(after, replicas, maximum, 2)]
    assert sizes(plan(wish, sets, frozenset(), NOW)) == expected


def test_scaling_during_a_rollout_is_proportional() -> None:
    wish = deployment(replicas=15, image="b", strategy=rolling(3, 2))
    old = sized(replica_set("old", of=wish, replicas=8, image="a"), 10, 13, 1)
    new = sized(
        replica_set("new", of=wish, replicas=5, available=0, image="b", created="2026-01-01T00:01:00Z"),
        10,
        13,
        2,
    )
    assert sizes(plan(wish, [old, new], frozenset(), NOW)) == {"old": 11, "new": 7}


def test_scaling_without_a_rollout() -> None:
    wish = deployment(replicas=5, image="a")
    only = sized(replica_set("only", of=wish, replicas=3, image="a"), 3, 4, 1)
    result = plan(wish, [only], frozenset(), NOW)
    assert sizes(result) == {"only": 5}
    assert result.events == ["Scaled up replica set only from 3 to 5"]
    assert result.update[0]["metadata"]["annotations"][MAX_REPLICAS] == "7"


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    wish = deployment(replicas=3, image="b", paused=True)
    old = sized(replica_set("old", of=wish, replicas=3, image="a"), 3, 4, 1)
    result = plan(wish, [old], frozenset(), NOW)
    assert (result.create, result.update) == (None, [])
    assert reasons(result)["Progressing"] == ("Unknown", "DeploymentPaused")


def test_recreate_waits_for_the_last_old_pod() -> None:
    wish = deployment(replicas=2, image="b", strategy={"type": "Recreate"})
    old = sized(replica_set("old", of=wish, replicas=2, image="a"), 2, 2, 1)
    assert sizes(plan(wish, [old], frozenset({"uid-old"}), NOW)) == {"old": 0}
    gone = sized(replica_set("old", of=wish, replicas=0, image="a"), 2, 2, 1)
    assert plan(wish, [gone], frozenset({"uid-old"}), NOW).create is None
    made = plan(wish, [gone], frozenset(), NOW).create
    assert made is not None
    assert made["spec"]["replicas"] == 2


def test_a_rollout_that_was_scaled_half_way_can_still_be_recreated() -> None:
    """Paused, scaled from 4 to 1, then told to recreate: the sizes noted on the ReplicaSets are old."""
    wish = deployment(replicas=1, image="b", strategy={"type": "Recreate"})
    old = sized(replica_set("old", of=wish, replicas=1, image="a"), 4, 5, 1)
    new = sized(replica_set("new", of=wish, replicas=4, image="b"), 4, 5, 2)
    assert sizes(plan(wish, [old, new], frozenset({"uid-old", "uid-new"}), NOW)) == {"old": 0}


def test_going_back_to_an_old_template_gives_it_a_new_revision() -> None:
    wish = deployment(replicas=1, image="a")
    first = sized(replica_set("first", of=wish, replicas=0, image="a"), 1, 2, 1)
    second = sized(
        replica_set("second", of=wish, replicas=1, image="b", created="2026-01-01T00:01:00Z"), 1, 2, 2
    )
    result = plan(wish, [first, second], frozenset(), NOW)
    annotations = result.update[0]["metadata"]["annotations"]
    assert annotations[REVISION] == "3"
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert result.annotations[REVISION] == "3"
    assert result.create is None


def test_old_replica_sets_beyond_the_history_limit_go() -> None:
    wish = deployment(replicas=1, image="now", revisionHistoryLimit=2)
    wish["status"] = {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": 1,
    }
    old = [sized(replica_set(f"old{n}", of=wish, replicas=0, image=f"i{n}"), 1, 2, n) for n in (4, 2, 3, 1)]
    now = sized(replica_set("now", of=wish, replicas=1, image="now"), 1, 2, 5)
    result = plan(wish, [*old, now], frozenset(), NOW)
    assert [rs["metadata"]["name"] for rs in result.delete] == ["old1", "old2"]


def test_complete() -> None:
    wish = deployment(replicas=2)
    only = sized(replica_set("only", of=wish, replicas=2), 2, 3, 1)
    result = plan(wish, [only], frozenset(), NOW)
    conditions = {c["type"]: c for c in result.status["conditions"]}
    assert conditions["Progressing"]["reason"] == "NewReplicaSetAvailable"
    assert conditions["Progressing"]["message"] == 'ReplicaSet "only" has successfully progressed.'
    assert conditions["Available"]["message"] == "Deployment has minimum availability."
    assert result.again_s is None


def progressing(at: str, reason: str = "ReplicaSetUpdated") -> Object:
    condition = {
        "type": "Progressing",
        "status": "True",
        "reason": reason,
        "message": "m",
        "lastUpdateTime": at,
        "lastTransitionTime": at,
    }
    return {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "conditions": [condition]}


def test_the_deadline_is_looked_at_when_it_comes_and_then_exceeded() -> None:
    wish = deployment(replicas=2, progressDeadlineSeconds=60)
    only = sized(replica_set("only", of=wish, replicas=2, available=0), 2, 3, 1)
    wish["status"] = progressing("2026-01-01T00:59:30Z")
    assert plan(wish, [only], frozenset(), NOW).again_s == 31
    wish["status"] = progressing("2026-01-01T00:58:30Z")
    result = plan(wish, [only], frozenset(), NOW)
    assert reasons(result)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert result.again_s is None
    messages = [c["message"] for c in result.status["conditions"] if c["type"] == "Progressing"]
    assert messages == ['ReplicaSet "only" has timed out progressing.']


def test_what_fails_in_a_replica_set_shows_in_the_deployment() -> None:
    wish = deployment(replicas=1)
    only = sized(replica_set("only", of=wish, replicas=1, available=0), 1, 2, 1)
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    only["status"]["conditions"] = [{**failure, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    found = [
        c for c in plan(wish, [only], frozenset(), NOW).status["conditions"] if c["type"] == "ReplicaFailure"
    ]
    assert [(c["status"], c["reason"], c["message"]) for c in found] == [("True", "FailedCreate", "quota")]


def test_hashes_are_stable_and_differ_by_template_and_collision() -> None:
    assert template_hash(template(), None) == template_hash(template(), None)
    hashes = {template_hash(template(image=image), count) for image in "ab" for count in (None, 1, 2)}
    assert len(hashes) == 6


def test_absent_and_empty_are_the_same_template() -> None:
    full = template()
    full["metadata"]["creationTimestamp"] = None
    full["metadata"]["labels"]["pod-template-hash"] = "x"
    full["spec"]["securityContext"] = {}
    assert same_template(template(), full)
    assert not same_template(template(), template(image="other"))


@pytest.mark.parametrize("deadline_s", [600, None])
def test_a_replica_set_that_cannot_be_made(deadline_s: int | None) -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(DEPLOYMENTS, deployment(progressDeadlineSeconds=deadline_s))
        api.fail = lambda verb, resource, obj: (
            api_error(403) if (verb, resource) == ("create", REPLICASETS) else None
        )
        async with running(api, [DEPLOYMENT]):
            await api.clock.advance(1)
            (event,) = api.all(EVENTS)
            assert (event["type"], event["reason"]) == ("Warning", "ReplicaSetCreateError")
            assert event["message"].startswith('Failed to create new replica set "web-')
            conditions = (api.table(DEPLOYMENTS)["default/web"].get("status") or {}).get("conditions", [])
            told = ["ReplicaSetCreateError"] if deadline_s else []
            assert [c["reason"] for c in conditions] == told

    asyncio.run(go())
