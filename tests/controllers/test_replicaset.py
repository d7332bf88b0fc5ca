"""ReplicaSets: who is made, who goes first, whose pod it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from podium.controllers.common.claim import plan_claims
from podium.controllers.common.deletion_order import ranked
from podium.controllers.replicaset import REPLICASET, failure_condition, plan, selector_of, status_of
from podium.machinery import labels, meta
from podium.machinery.errors import Forbidden, Object
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.events import EVENTS
from podium.resources.core.pods import PODS
from tests.controllers.builders import pod, replica_set, running
from tests.runtime.fakes import FakeApi

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RS = replica_set("rs", replicas=3)


def named(pods: list[Object]) -> list[str]:
    return [meta.name(p) for p in pods]


def test_missing_pods_are_made_and_surplus_ones_deleted() -> None:
    assert plan(RS, [pod("a")], {}, NOW).create == 2
    assert len(plan(RS, [pod(name) for name in "abcde"], {}, NOW).delete) == 2
    assert plan(RS, [pod("a"), pod("b", phase="Failed"), pod("c", phase="Succeeded")], {}, NOW).create == 2
    going = pod("d", deletionTimestamp="2026-01-01T00:00:00Z")
    assert plan(RS, [pod("a"), going], {}, NOW).create == 2


def test_a_replica_set_being_deleted_makes_nothing() -> None:
    going = replica_set("rs", replicas=3)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert plan(going, [], {}, NOW).create == 0


def restarted(name: str, count: int) -> Object:
    obj = pod(name)
    obj["status"]["containerStatuses"] = [{"restartCount": count}]
    return obj


def aged(name: str, ready_at: str) -> Object:
    obj = pod(name)
    obj["status"]["conditions"][0]["lastTransitionTime"] = ready_at
    return obj


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(pod("x", node=""), pod("y"), id="unassigned"),
        pytest.param(pod("x", phase="Pending"), pod("y"), id="pending"),
        pytest.param(pod("x", phase="Unknown"), pod("y"), id="unknown"),
        pytest.param(pod("x", ready=False), pod("y"), id="not ready"),
        pytest.param(
            pod("x", annotations={"controller.kubernetes.io/pod-deletion-cost": "-5"}), pod("y"), id="cheap"
        ),
        pytest.param(pod("x", node="crowded"), pod("y", node="empty"), id="crowded node"),
        pytest.param(aged("x", "2026-01-01T23:59:50Z"), aged("y", "2026-01-01T00:00:00Z"), id="ready later"),
        pytest.param(restarted("x", 3), restarted("y", 0), id="often restarted"),
        pytest.param(pod("x", creationTimestamp="2026-01-01T23:59:00Z"), pod("y"), id="younger"),
    ],
)
def test_who_is_missed_least(first: Object, second: Object) -> None:
    ranks = {"crowded": 3, "empty": 1}
    assert named(ranked([second, first], ranks, NOW)) == ["x", "y"]
    assert named(ranked([first, second], ranks, NOW)) == ["x", "y"]


def test_status_counts() -> None:
    rs = replica_set("rs", replicas=3)
    rs["spec"]["minReadySeconds"] = 10
    late = (NOW - timedelta(seconds=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    pods = [
        pod("a"),
        aged("b", late),
        pod("c", ready=False),
        pod("d", labels={}),
        pod("e", deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    assert status_of(rs, pods, None, NOW) == {
        "replicas": 4,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 2,
        "terminatingReplicas": 1,
        "observedGeneration": 1,
    }
    assert plan(rs, pods, {}, NOW).again_s == 6


def test_claims() -> None:
    other = replica_set("other")
    mine, stray, foreign = pod("mine", owner=RS), pod("stray"), pod("foreign", owner=other)
    relabelled = pod("relabelled", owner=RS, labels={"app": "x"})
    going = pod("going", deletionTimestamp="2026-01-01T00:00:00Z")
    claims = plan_claims(RS, labels.parse("app=web"), [mine, stray, foreign, relabelled, going])
    assert (named(list(claims.owned)), named(list(claims.adopt))) == (["mine"], ["stray"])
    assert named(list(claims.release)) == ["relabelled"]


def test_a_replication_controller_without_selector_selects_nothing() -> None:
    rc = {"kind": "ReplicationController", "metadata": {}, "spec": {}}
    assert not selector_of(rc).matches({"a": "b"})


def test_a_refusal_is_met_with_one_request_and_shown() -> None:
    async def go() -> None:
        api = FakeApi()
        tries: list[str] = []

        def refuse(verb: str, resource: object, obj: Object) -> Exception | None:
            if resource is not PODS:
                return None
            tries.append(verb)
            return Forbidden('pods "rs-" is forbidden: exceeded quota')

        api.fail = refuse
        api.put(REPLICASETS, replica_set("rs", replicas=100))
        async with running(api, [REPLICASET]):
            await api.clock.advance(0.004)
            assert len(tries) <= 2  # the second because the status has changed
            status = api.table(REPLICASETS)["default/rs"]["status"]
            assert [(c["type"], c["reason"]) for c in status["conditions"]] == [
                ("ReplicaFailure", "FailedCreate")
            ]
            assert status["conditions"][0]["message"] == 'pods "rs-" is forbidden: exceeded quota'
            (event,) = api.all(EVENTS)
            assert event["message"] == 'Error creating: pods "rs-" is forbidden: exceeded quota'
            api.fail = lambda verb, resource, obj: None
            await api.clock.advance(30)
            assert len(api.all(PODS)) == 100
            assert "conditions" not in api.table(REPLICASETS)["default/rs"]["status"]

    asyncio.run(go())


def test_pods_are_adopted_and_released() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(PODS, pod("stray", node=""))
        api.put(REPLICASETS, replica_set("rs", replicas=1))
        async with running(api, [REPLICASET]):
            await api.clock.advance(1)
            stray = api.table(PODS)["default/stray"]
            assert meta.controller_ref(stray) == {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "rs",
                "uid": "uid-rs",
                "controller": True,
                "blockOwnerDeletion": True,
            }
            assert len(api.all(PODS)) == 1
            api.change(PODS, "default/stray", lambda p: p["metadata"].update(labels={"app": "other"}))
            await api.clock.advance(1)
            assert "ownerReferences" not in api.table(PODS)["default/stray"]["metadata"]
            assert len(api.all(PODS)) == 2

    asyncio.run(go())


def test_the_first_failure_is_shown_until_there_is_none() -> None:
    rs = replica_set("rs", replicas=1)
    create, delete = failure_condition(True, Forbidden("quota")), failure_condition(False, Forbidden("no"))
    assert delete["message"] == "unable to delete pods: no"
    rs["status"] = status_of(rs, [], create, NOW)
    rs["status"] = status_of(rs, [], delete, NOW)
    assert [c["reason"] for c in rs["status"]["conditions"]] == ["FailedCreate"]
    assert "conditions" not in status_of(rs, [], None, NOW)


def test_a_namespace_that_goes_is_no_failure_of_its_replica_sets() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(REPLICASETS, replica_set("rs", replicas=3))
        going = Forbidden("it goes", details={"causes": [{"reason": "NamespaceTerminating"}]})
        api.fail = lambda verb, resource, obj: going if (verb, resource) == ("create", PODS) else None
        async with running(api, [REPLICASET]):
            await api.clock.advance(1)
            assert "conditions" not in api.table(REPLICASETS)["default/rs"]["status"]
            assert api.all(EVENTS) == []

    asyncio.run(go())


def test_a_replica_set_of_nobody_has_no_crowded_nodes() -> None:
    async def go() -> None:
        api = FakeApi()
        rs = api.put(REPLICASETS, replica_set("rs", replicas=2))
        for name, node, created in (("a", "n1", "00:00"), ("b", "n1", "00:01"), ("young", "n2", "23:59")):
            made = pod(name, node=node, owner=rs, creationTimestamp=f"2025-12-31T{created}:00Z")
            made["status"]["conditions"][0]["lastTransitionTime"] = f"2025-12-31T{created}:30Z"
            api.put(PODS, made)
        async with running(api, [REPLICASET]):
            await api.clock.advance(1)
            assert named([p for p in api.all(PODS) if meta.deleting(p)]) == ["young"]

    asyncio.run(go())


def test_pods_that_are_going_are_counted_and_otherwise_left_alone() -> None:
    async def go() -> None:
        api = FakeApi()
        rs = api.put(REPLICASETS, replica_set("rs", replicas=0))
        for name, labels_ in (("mine", {"app": "web"}), ("changed", {"app": "other"})):
            api.put(PODS, pod(name, owner=rs, labels=labels_))
            await api.client().delete(PODS, name, "default")
        async with running(api, [REPLICASET]):
            await api.clock.advance(1)
            assert api.table(REPLICASETS)["default/rs"]["status"]["terminatingReplicas"] == 1
            assert all(meta.owner_references(p) for p in api.all(PODS))

    asyncio.run(go())
